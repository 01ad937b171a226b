//! One message as it is kept.

use protocol::{ClientId, ConversationId, MessageType, Metadata, Timestamp, UserName};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The server has it.
    Stored,
    /// It waits for the server.
    Waiting,
    /// The server refused it, and always will.
    Refused,
}

impl State {
    /// As it stands in the file, and in what is exported.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
        }
    }

    /// What another program wrote there counts as stored: it is nothing for us to send.
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
    /// Where it stands in its conversation; nothing else orders it.
    pub(crate) place: i64,
    /// The other one. Another program may have kept what is no name here, so this is text.
    pub(crate) partner: String,
    /// Whether the user said it.
    pub(crate) outgoing: bool,
    pub(crate) text: String,
    /// When it was said.
    pub(crate) said: Timestamp,
    pub(crate) state: State,
    /// Its place in the server's log.
    pub(crate) seq: Option<u64>,
    pub(crate) kind: MessageType,
    pub(crate) metadata: Metadata,
    /// The sender's id of it, where it is known.
    pub(crate) client_id: Option<ClientId>,
}

impl Entry {
    /// The conversation it is in, where its partner is one.
    pub(crate) fn conversation(&self, me: &UserName) -> Option<ConversationId> {
        conversation(me, &self.partner)
    }
}

/// Two spellings of one name have one key; what is no name is its own.
pub(crate) fn key_of(partner: &str) -> String {
    UserName::stored(partner).map_or_else(|_| partner.to_owned(), |name| name.key().to_owned())
}

/// The conversation a partner's messages are in.
pub(crate) fn conversation(me: &UserName, partner: &str) -> Option<ConversationId> {
    Some(ConversationId::dm(me, &UserName::stored(partner).ok()?))
}
