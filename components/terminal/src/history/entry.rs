//! A message in the history.

use protocol::{ClientId, ConversationId, MessageType, Metadata, Timestamp, UserName};

/// The delivery state of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Stored by the server.
    Stored,
    /// Waiting for the server.
    Waiting,
    /// Rejected by the server for good.
    Refused,
}

impl State {
    /// The name in the file and in exports.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
        }
    }

    /// Unknown values of other programs count as stored, so that such messages are not sent.
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "waiting" => Self::Waiting,
            "refused" => Self::Refused,
            _ => Self::Stored,
        }
    }
}

/// A message in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its row.
    pub(crate) row: i64,
    /// Its position, which alone determines the order in its conversation.
    pub(crate) place: i64,
    /// The other user. Text, because another program may have stored an invalid name.
    pub(crate) partner: String,
    /// Whether the user sent it.
    pub(crate) outgoing: bool,
    pub(crate) text: String,
    /// When the sender wrote it.
    pub(crate) said: Timestamp,
    pub(crate) state: State,
    /// Its `seq` in the server's log.
    pub(crate) seq: Option<u64>,
    pub(crate) kind: MessageType,
    pub(crate) metadata: Metadata,
    /// The sender's id, if known.
    pub(crate) client_id: Option<ClientId>,
}

impl Entry {
    /// Its conversation, if the partner is a valid name.
    pub(crate) fn conversation(&self, me: &UserName) -> Option<ConversationId> {
        conversation(me, &self.partner)
    }
}

/// The key of a name; an invalid name is its own key.
pub(crate) fn key_of(partner: &str) -> String {
    UserName::stored(partner).map_or_else(|_| partner.to_owned(), |name| name.key().to_owned())
}

/// The conversation with a partner.
pub(crate) fn conversation(me: &UserName, partner: &str) -> Option<ConversationId> {
    Some(ConversationId::dm(me, &UserName::stored(partner).ok()?))
}
