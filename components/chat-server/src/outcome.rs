//! The outcome of a message: set by the code that stores it, counted, and reported to the sender in their dialect.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use protocol::api::Appended;
use protocol::native::Durability;
use protocol::{Body, ClientId, Draft, UserName};

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is durable.
    Stored(Appended, Durability),
    /// It is not stored and never will be, for this reason.
    Refused(String),
    /// Nobody knows it to be stored; the same may be sent again.
    Later,
}

/// What a message was, as far as its answer depends on it. Not its text: a client that reads no answers would make us hold 64 of the
/// longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// To whom.
    pub(crate) to: UserName,
    /// The sender's id of it.
    pub(crate) client_id: ClientId,
    /// By what its text is recognised.
    pub(crate) digest: Digest,
}

impl Said {
    /// What a draft says to somebody.
    pub(crate) fn new(to: UserName, draft: &Draft) -> Self {
        Self { to, client_id: draft.client_id.clone(), digest: Digest::of(&draft.body) }
    }
}

/// Stands for a text. Two different ones have the same digest once in 2^64 times, and nobody can choose them so, for it is keyed
/// (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(u64);

impl Digest {
    /// That of a message's text.
    pub(crate) fn of(body: &Body) -> Self {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(KEY.hash_one(body.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_knows_of_a_message_does_not_hold_its_text() {
        let name = UserName::parse("alice").unwrap();
        let said = |text: &str| {
            Said::new(name.clone(), &Draft::chat(name.clone(), &name, Body::parse(text).unwrap()))
        };
        let long = said(&"x".repeat(16_000));
        assert!(format!("{long:?}").len() < 500, "{long:?}");
        assert_ne!(long.digest, said("x").digest);
    }
}
