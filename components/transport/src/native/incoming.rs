//! What the caller of a native client is told.

use std::time::Duration;

use protocol::native::{ErrorFrame, EventFrame, ServerFrame, Welcome};

/// The reason in [`Incoming::Disconnected`] when [`NativeClient::replay`](super::NativeClient::replay) asked for it: what comes behind it is complete again.
pub const REPLAY: &str = "everything unread is asked for again";

/// What the caller is told.
#[derive(Debug)]
pub enum Incoming {
    /// Connected and greeted, for the first time or again.
    Connected(Box<Welcome>),
    /// Something was said. Each event comes once, in the order of its conversation.
    Event(Box<EventFrame>),
    /// Any other frame that is not the answer to a `send`.
    Frame(Box<ServerFrame>),
    /// The connection is gone; another attempt follows after `retry_in`.
    Disconnected {
        /// Why, for people.
        reason: String,
        /// How long until the next attempt.
        retry_in: Duration,
    },
    /// The server refuses this user (name taken, reserved or wrong). Nothing follows.
    Rejected(Box<ErrorFrame>),
}

/// Why a message was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The server refused it, and always will.
    #[error("{}", .0.message)]
    Refused(Box<ErrorFrame>),
    /// The client ended before there was an answer: the message may or may not be stored.
    #[error("the connection ended before the server answered")]
    Ended,
}
