//! What a client wants said: the draft of a message, before the store gives it a place in a log.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::conversation::ConversationId;
use crate::limits::CLIENT_ID_BYTES;
use crate::validated::string_type;
use crate::{Body, Event, Metadata, Timestamp, UserName};

/// What kind of message it is. Only how it is shown depends on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageType {
    /// Something said by a person or a bot.
    #[default]
    Chat,
    /// An order to a service.
    Command,
    /// Something a service tells.
    Notification,
    /// A change of who is told what.
    Subscription,
}

impl MessageType {
    /// Every type.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Command, Self::Notification, Self::Subscription];

    /// As in JSON: `chat`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Command => "command",
            Self::Notification => "notification",
            Self::Subscription => "subscription",
        }
    }

    /// As in a stored line: `CHAT`.
    #[must_use]
    pub fn as_capitals(self) -> &'static str {
        match self {
            Self::Chat => "CHAT",
            Self::Command => "COMMAND",
            Self::Notification => "NOTIFICATION",
            Self::Subscription => "SUBSCRIPTION",
        }
    }
}

/// The sender's own id of a message: 1 to [`CLIENT_ID_BYTES`] printable ASCII characters without spaces, unique per sender.
/// Sending the same id again yields the first result instead of a second message.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientId(Arc<str>);

/// A text cannot be a client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a client id is 1 to {CLIENT_ID_BYTES} printable ASCII characters without spaces")]
pub struct ClientIdError;

impl ClientId {
    /// Reads an id.
    ///
    /// # Errors
    /// When it is empty, too long, or holds anything but printable ASCII.
    pub fn parse(text: &str) -> Result<Self, ClientIdError> {
        let fits = (1..=CLIENT_ID_BYTES).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(ClientIdError)
        }
    }

    /// A new id that nobody else has: a UUID version 7 (RFC 9562).
    #[must_use]
    pub fn fresh() -> Self {
        let mut buffer = Uuid::encode_buffer();
        Self(Arc::from(&*Uuid::now_v7().simple().encode_lower(&mut buffer)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ClientId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

string_type!(ClientId, "ClientId", "1 to 64 printable ASCII characters, unique per sender");

/// A message on its way to the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Draft {
    /// Who says it.
    pub sender: UserName,
    /// To whom.
    pub destination: UserName,
    /// What is said.
    pub body: Body,
    /// What kind of message it is.
    #[serde(rename = "type", default)]
    pub kind: MessageType,
    /// What it carries beside its text.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The sender's id of it.
    pub client_id: ClientId,
    /// When the sender said it, where the sender tells; otherwise the time it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
}

impl Draft {
    /// A plain chat message with a fresh client id.
    #[must_use]
    pub fn chat(sender: UserName, destination: UserName, body: Body) -> Self {
        Self {
            sender,
            destination,
            body,
            kind: MessageType::Chat,
            metadata: Metadata::default(),
            client_id: ClientId::fresh(),
            timestamp: None,
        }
    }

    /// The conversation it belongs to.
    #[must_use]
    pub fn conversation(&self) -> ConversationId {
        ConversationId::dm(&self.sender, &self.destination)
    }

    /// What it is once it has its place: `seq` in the conversation that it belongs to, which the caller knows already, since `at`.
    #[must_use]
    pub fn into_event(self, id: Uuid, conversation: ConversationId, seq: u64, at: Timestamp) -> Event {
        Event {
            id,
            conversation,
            seq,
            at,
            sender: self.sender,
            destination: self.destination,
            body: self.body,
            kind: self.kind,
            metadata: self.metadata,
            client_id: self.client_id,
            timestamp: self.timestamp.unwrap_or(at),
        }
    }
}
