//! What one message of a client asks for, whatever dialect it came in.

use bytes::Bytes;
use protocol::limits::METADATA_BYTES;
use protocol::{Body, Draft, UserName};

pub(crate) use protocol::native::{HistoryRequest, Seen, TraceRequest};

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    /// Nothing.
    Nothing,
    /// Nothing more than this answer, which says what was wrong.
    Mistake(Bytes),
    /// The same, for what was longer than a line may be.
    TooLong(Bytes),
    /// A sign of life.
    Ping(Option<u64>),
    /// Store a message.
    Say(Box<Outgoing>),
    /// Where a message has been.
    Trace(TraceRequest),
    /// A line whose meaning depends on who is registered; see [`Lookup`](super::speech::Lookup).
    Lookup(String),
    /// Show what is unseen.
    Check,
    /// A conversation was shown.
    Seen(Seen),
    /// A page of a conversation.
    History(HistoryRequest),
    /// Close the connection.
    Exit,
}

/// A message that a client wants stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outgoing {
    /// To whom, as its sender wrote it.
    pub(crate) to: UserName,
    /// What is stored.
    pub(crate) draft: Draft,
    /// Its way is to be remembered, however busy the server is.
    pub(crate) traced: bool,
}

impl Outgoing {
    /// A chat message under an id of ours.
    pub(crate) fn chat(from: UserName, to: UserName, body: Body) -> Self {
        Self { draft: Draft::chat(from, &to, body), to, traced: false }
    }
}

impl Request {
    /// About how many bytes it holds.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Say(outgoing) => {
                let draft = &outgoing.draft;
                let metadata = if draft.metadata.is_empty() { 0 } else { METADATA_BYTES };
                draft.body.as_str().len() + metadata
            }
            Self::Lookup(line) => line.len(),
            Self::Mistake(bytes) | Self::TooLong(bytes) => bytes.len(),
            Self::Nothing
            | Self::Ping(_)
            | Self::Trace(_)
            | Self::Check
            | Self::Seen(_)
            | Self::History(_)
            | Self::Exit => 0,
        }
    }
}
