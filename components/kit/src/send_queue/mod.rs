//! How much of what was written to a connection its peer has not acknowledged, where the system tells.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::SendQueue;
#[cfg(target_os = "linux")]
pub use linux::SendQueue;

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
