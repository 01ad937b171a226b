//! What one message of a client asks for, whatever dialect it came in.

use bytes::Bytes;
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
    /// What it takes from the session's allowance, in messages. Nothing that a client can send as often as it likes is free; what
    /// programs send of their own accord is cheap. What is over the allowance waits, and nothing is read behind it.
    ///
    /// Answers of a size that somebody else decides cost by their bytes as well, once these are known (`access::allowance`).
    pub(crate) fn cost(&self) -> f64 {
        match self {
            // It closes the connection, so it comes once.
            Self::Exit => 0.0,
            Self::Nothing | Self::Seen(_) | Self::Ping(_) => 0.1,
            Self::Say(..) | Self::Lookup(_) | Self::Trace(_) | Self::History(_) | Self::Mistake(_) => 1.0,
            // Everything unread is read once more; a line that is too long was read, too.
            Self::Check | Self::TooLong(_) => 4.0,
        }
    }

    /// About how many bytes it holds.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Say(outgoing) => {
                let draft = &outgoing.draft;
                draft.body.as_str().len() + draft.metadata.bytes()
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

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ConversationId;

    #[test]
    fn nothing_that_can_be_sent_again_is_free() {
        let name = |text| UserName::parse(text).unwrap();
        let conversation = ConversationId::dm(&name("a"), &name("b"));
        let outgoing = Outgoing::chat(name("a"), name("b"), Body::parse("hi").unwrap());
        let requests = [
            Request::Nothing,
            Request::Mistake(Bytes::new()),
            Request::TooLong(Bytes::new()),
            Request::Ping(None),
            Request::Say(Box::new(outgoing)),
            Request::Trace(TraceRequest { message: "m".to_owned(), token: None }),
            Request::Lookup("b-hi".to_owned()),
            Request::Check,
            Request::Seen(Seen { conversation, seq: 1 }),
            Request::History(HistoryRequest { with: name("b"), before: None, limit: None }),
        ];
        assert!(requests.iter().all(|request| request.cost() > 0.0));
    }
}
