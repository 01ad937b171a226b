//! What became of a message: known to whoever stores it, counted, and told to its sender in the dialect they speak.

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

/// What a message was, as far as its answer depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// To whom.
    pub(crate) to: UserName,
    /// The sender's id of it.
    pub(crate) client_id: ClientId,
    /// What was said.
    pub(crate) body: Body,
}

impl Said {
    /// What a draft says to somebody.
    pub(crate) fn new(to: UserName, draft: &Draft) -> Self {
        let Draft { client_id, body, .. } = draft.clone();
        Self { to, client_id, body }
    }
}
