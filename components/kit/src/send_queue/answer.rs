//! What the kernel reports about a connection.

use std::time::Duration;

/// Signs of life of a peer's TCP, as the kernel reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// Time since its last acknowledgement, including those of keepalives.
    pub heard: Duration,
    /// Whether an acknowledgement is outstanding: of bytes, a keepalive, or a zero-window probe. Between two probes of a peer with a full
    /// receive buffer none is outstanding, and the kernel probes rarely (`tcp(7)`; RFC 9293, 3.8.6.1).
    pub is_asked: bool,
}

/// The quality of the link to a peer, as the kernel has measured it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The smoothed round-trip time (RFC 6298: SRTT); `None` before the first measurement.
    pub round_trip: Option<Duration>,
    /// The number of retransmitted segments, including those of the handshake.
    pub retransmitted: u32,
}

/// Unacknowledged output of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unacknowledged {
    /// This many bytes are written and not acknowledged.
    Bytes(u64),
    /// The connection no longer exists.
    Gone,
    /// This system does not report it.
    Unknown,
}
