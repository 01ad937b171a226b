//! A message that is not stored yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Body, ClientId, ConversationId, Event, MessageType, Metadata, Timestamp, UserName};

/// A message to be stored.
///
/// Its JSON form may name a user as `destination` instead of a direct conversation, for clients older than rooms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "DraftForm")]
pub struct Draft {
    /// The sender.
    pub sender: UserName,
    /// The conversation to store it in.
    pub conversation: ConversationId,
    /// The text.
    pub body: Body,
    /// Decides how clients show the message.
    #[serde(rename = "type", default)]
    pub kind: MessageType,
    /// Data for programs, beside the text.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The sender's id; a second draft with the same id stores nothing new.
    pub client_id: ClientId,
    /// When the sender wrote it, if the sender states it; otherwise the time it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
}

/// The JSON form of a [`Draft`].
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
    /// The size of its text and metadata.
    #[must_use]
    pub fn content_bytes(&self) -> usize {
        self.body.as_str().len() + self.metadata.bytes()
    }

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

    /// The event that results when this draft is stored at `at` as number `seq` of its conversation.
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
