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
///
/// Its JSON form may name a user as `destination` instead of a direct conversation, as it did before there were rooms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "DraftForm")]
pub struct Draft {
    /// Who says it.
    pub sender: UserName,
    /// Where it is said.
    pub conversation: ConversationId,
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

/// What [`Draft`] is read from.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Draft")]
struct DraftForm {
    sender: UserName,
    conversation: Option<ConversationId>,
    destination: Option<UserName>,
    body: Body,
    #[serde(rename = "type", default)]
    kind: MessageType,
    #[serde(default)]
    metadata: Metadata,
    client_id: ClientId,
    timestamp: Option<Timestamp>,
}

impl TryFrom<DraftForm> for Draft {
    type Error = &'static str;

    fn try_from(form: DraftForm) -> Result<Self, Self::Error> {
        let DraftForm { sender, conversation, destination, body, kind, metadata, client_id, timestamp } =
            form;
        let named = destination.map(|to| ConversationId::dm(&sender, &to));
        let conversation = conversation.or(named).ok_or("missing field `conversation`")?;
        Ok(Self { sender, conversation, body, kind, metadata, client_id, timestamp })
    }
}

impl Draft {
    /// A plain chat message to a user, with a fresh client id.
    #[must_use]
    pub fn chat(sender: UserName, to: &UserName, body: Body) -> Self {
        Self {
            conversation: ConversationId::dm(&sender, to),
            sender,
            body,
            kind: MessageType::Chat,
            metadata: Metadata::default(),
            client_id: ClientId::fresh(),
            timestamp: None,
        }
    }

    /// What it is once it has its place: `seq` in its conversation, since `at`.
    #[must_use]
    pub fn into_event(self, id: Uuid, seq: u64, at: Timestamp) -> Event {
        Event {
            id,
            conversation: self.conversation,
            seq,
            at,
            sender: self.sender,
            body: self.body,
            kind: self.kind,
            metadata: self.metadata,
            client_id: self.client_id,
            timestamp: self.timestamp.unwrap_or(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_names_its_conversation_or_as_before_a_user() {
        let read = |place: &str| {
            serde_json::from_str::<Draft>(&format!(
                r#"{{"sender":"Bob",{place}"body":"hi","client_id":"c"}}"#
            ))
        };
        let now = read(r#""conversation":"dm:alice:bob","#).unwrap();
        assert_eq!(now, read(r#""destination":"Alice","#).unwrap());
        assert_eq!(serde_json::from_str::<Draft>(&serde_json::to_string(&now).unwrap()).unwrap(), now);
        assert!(read("").unwrap_err().to_string().contains("missing field `conversation`"));
    }
}
