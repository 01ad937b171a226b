//! The outcome of a message: set by the code that stores it, counted, and reported to the sender in their dialect.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use protocol::api::Appended;
use protocol::native::Durability;
use protocol::{Body, ClientId, Draft, UserName};

/// The outcome of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is durable.
    Stored(Appended, Durability),
    /// It is not stored and never will be, for this reason.
    Refused(String),
    /// Not known to be stored; the sender may send it again.
    Unknown,
}

/// What the answer to a message needs of it. Without its text: otherwise a client that reads no answers would make the server hold 64 of
/// the longest texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SentMessage {
    /// The recipient.
    pub(crate) to: UserName,
    /// The sender's id of it.
    pub(crate) client_id: ClientId,
    /// Identifies its text.
    pub(crate) digest: Digest,
}

impl SentMessage {
    /// Describes a draft to this recipient.
    pub(crate) fn new(to: UserName, draft: &Draft) -> Self {
        Self { to, client_id: draft.client_id.clone(), digest: Digest::of(&draft.body) }
    }
}

/// A keyed hash of a text (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012). Two texts collide with a probability of 2^-64,
/// and nobody can construct a collision without the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(u64);

impl Digest {
    /// The digest of a message's text.
    pub(crate) fn of(body: &Body) -> Self {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(KEY.hash_one(body.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pending_answer_does_not_hold_the_messages_text() {
        let name = UserName::parse("alice").unwrap();
        let sent = |text: &str| {
            SentMessage::new(name.clone(), &Draft::chat(name.clone(), &name, Body::parse(text).unwrap()))
        };
        let long = sent(&"x".repeat(16_000));
        assert!(format!("{long:?}").len() < 500, "{long:?}");
        assert_ne!(long.digest, sent("x").digest);
    }
}
