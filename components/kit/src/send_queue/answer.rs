//! What the system tells of a connection.

use std::time::Duration;

/// Whether a peer's TCP lives, as far as the kernel knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// How long ago it acknowledged anything, be it a keepalive.
    pub heard: Duration,
    /// Whether it owes an acknowledgement: of bytes, of a keepalive, or of the question whether it has room again. One that has no room
    /// owes nothing between two such questions, and the kernel asks seldom (`tcp(7)`; RFC 9293, 3.8.6.1).
    pub is_asked: bool,
}

/// What the link to a peer is like, as far as the kernel has measured it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// How long a round trip takes (RFC 6298: SRTT); `None` before one was measured.
    pub round_trip: Option<Duration>,
    /// How many segments, the handshake's included, were sent again.
    pub retransmitted: u32,
}

/// What the kernel knows of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unacknowledged {
    /// So many bytes are written and not acknowledged.
    Bytes(u64),
    /// The connection is gone, and with it the knowledge.
    Gone,
    /// This system cannot tell.
    Unknown,
}
