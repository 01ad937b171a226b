//! The requests that a client's messages make, independent of the dialect.

use bytes::Bytes;
use protocol::{Body, Draft, UserName};

pub(crate) use protocol::native::{HistoryRequest, Seen, TraceRequest};

/// A request of a client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    Nothing,
    /// Invalid input: only this error is returned.
    Invalid(Bytes),
    /// Invalid input because it was longer than a line may be.
    TooLong(Bytes),
    /// Answer with a pong.
    Ping(Option<u64>),
    /// Store a message.
    Message(Box<NewMessage>),
    /// Return a message's trace.
    Trace(TraceRequest),
    /// A line whose meaning depends on who is registered; see [`Lookup`](super::codec::Lookup).
    Lookup(String),
    /// Show unread messages.
    Check,
    /// A conversation was shown.
    Seen(Seen),
    /// Return a page of a conversation.
    History(HistoryRequest),
    /// Close the connection.
    Exit,
}

/// A message to be stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewMessage {
    /// The recipient as the sender wrote it.
    pub(crate) to: UserName,
    pub(crate) draft: Draft,
    /// The message is traced however busy the server is.
    pub(crate) traced: bool,
}

impl NewMessage {
    /// A chat message with a new id.
    pub(crate) fn chat(from: UserName, to: UserName, body: Body) -> Self {
        Self { draft: Draft::chat(from, &to, body), to, traced: false }
    }
}

impl Request {
    /// The cost, in messages, to the session's rate limit. Nothing that a client can repeat is free; what programs send on their own is
    /// cheap. A request beyond the allowance waits, and nothing is read after it.
    ///
    /// Answers whose size does not depend on the client also cost by their bytes, once these are known (`access::allowance`).
    pub(crate) fn cost(&self) -> f64 {
        match self {
            // It closes the connection, so it comes once.
            Self::Exit => 0.0,
            Self::Nothing | Self::Seen(_) | Self::Ping(_) => 0.1,
            Self::Message(..) | Self::Lookup(_) | Self::Trace(_) | Self::History(_) | Self::Invalid(_) => 1.0,
            // All unread messages are read again; a line that is too long was received anyway.
            Self::Check | Self::TooLong(_) => 4.0,
        }
    }

    /// The approximate size in bytes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Message(outgoing) => outgoing.draft.content_bytes(),
            Self::Lookup(line) => line.len(),
            Self::Invalid(bytes) | Self::TooLong(bytes) => bytes.len(),
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
        let outgoing = NewMessage::chat(name("a"), name("b"), Body::parse("hi").unwrap());
        let requests = [
            Request::Nothing,
            Request::Invalid(Bytes::new()),
            Request::TooLong(Bytes::new()),
            Request::Ping(None),
            Request::Message(Box::new(outgoing)),
            Request::Trace(TraceRequest { message: "m".to_owned(), token: None }),
            Request::Lookup("b-hi".to_owned()),
            Request::Check,
            Request::Seen(Seen { conversation, seq: 1 }),
            Request::History(HistoryRequest { with: name("b"), before: None, limit: None }),
        ];
        assert!(requests.iter().all(|request| request.cost() > 0.0));
    }
}
