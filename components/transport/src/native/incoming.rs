//! What a native client reports to its caller.

use std::time::Duration;

use protocol::native::{ErrorFrame, EventFrame, ServerFrame, Welcome};

/// The reason in [`Incoming::Disconnected`] after [`NativeClient::replay`](super::NativeClient::replay); the events that follow are
/// complete.
pub const REPLAY: &str = "everything unread is asked for again";

/// A report to the caller.
#[derive(Debug)]
pub enum Incoming {
    /// Logged in, for the first time or again.
    Connected(Box<Welcome>),
    /// A message. Each event is reported once, in the order of its conversation.
    Event(Box<EventFrame>),
    /// Any other frame that is not the answer to a `send`.
    Frame(Box<ServerFrame>),
    /// The connection is lost; the next attempt follows after `retry_in`.
    Disconnected {
        /// Human-readable reason.
        reason: String,
        /// The delay before the next attempt.
        retry_in: Duration,
    },
    /// The server rejected this user (name taken, reserved or invalid). Nothing follows.
    Rejected(Box<ErrorFrame>),
}

/// Why a message was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The server rejected it for good.
    #[error("{}", .0.message)]
    Refused(Box<ErrorFrame>),
    /// The client ended before an answer arrived: the message may or may not be stored.
    #[error("the connection ended before the server answered")]
    Ended,
}
