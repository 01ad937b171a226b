//! What one message of a client asks for, whatever dialect it came in.

use bytes::Bytes;
use protocol::Draft;
use protocol::native::{HistoryRequest, Seen, TraceRequest};

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    /// Nothing.
    Nothing,
    /// Nothing more than this answer.
    Answer(Bytes),
    /// Store a message, and remember its way if that is asked for.
    Say(Box<Draft>, bool),
    /// Where a message has been.
    Trace(TraceRequest),
    /// A line of the book dialect that names a target; who is registered decides what it means.
    BookLine(String),
    /// Show what is unseen.
    Check,
    /// A conversation was shown.
    Seen(Seen),
    /// A page of a conversation.
    History(HistoryRequest),
    /// Close the connection.
    Exit,
}

impl Request {
    /// Whether it counts against the session's allowance. What is cheap and sent by programs of their own accord does not.
    pub(crate) fn costs(&self) -> bool {
        match self {
            Self::Say(..)
            | Self::BookLine(_)
            | Self::Check
            | Self::History(_)
            | Self::Trace(_)
            | Self::Answer(_) => true,
            Self::Nothing | Self::Seen(_) | Self::Exit => false,
        }
    }
}
