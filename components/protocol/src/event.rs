//! One entry of a conversation's log.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::{Body, ClientId, ConversationId, MessageType, Metadata, Timestamp, UserName};

/// A message that has its place: entry `seq` of `conversation`. It never changes and is durable when anybody sees it.
///
/// It has no destination: its conversation's members receive it. Its JSON form has one where the conversation is direct, `destination`,
/// the other user's name key, for programs written before there were rooms; it is ignored when read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(transform = with_destination)]
pub struct Event {
    /// A UUID version 7, unique over all conversations.
    pub id: Uuid,
    /// The log it is in.
    pub conversation: ConversationId,
    /// Its place in that log, dense from 1.
    pub seq: u64,
    /// When it was stored; grows with `seq` within a conversation, whatever the clock does.
    pub at: Timestamp,
    /// Who said it.
    pub sender: UserName,
    /// What was said.
    #[serde(deserialize_with = "crate::body::stored")]
    pub body: Body,
    /// What kind of message it is.
    #[serde(rename = "type", default)]
    pub kind: MessageType,
    /// What it carries beside its text.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The sender's id of it.
    pub client_id: ClientId,
    /// When its sender said it, as far as the sender told; otherwise the same as `at`.
    pub timestamp: Timestamp,
}

impl Event {
    /// The name key of the user to whom it was said, where the conversation is direct; the sender's own in a note to themselves.
    #[must_use]
    pub fn dm_receiver(&self) -> Option<&str> {
        self.conversation.dm_partner(&self.sender)
    }

    /// Whether it is news to this member of its conversation: said by somebody else, or by themselves in a note to themselves.
    #[must_use]
    pub fn is_incoming_for(&self, member: &UserName) -> bool {
        self.sender != *member || self.conversation.is_note_to_self()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            id: Uuid,
            conversation: &'a ConversationId,
            seq: u64,
            at: Timestamp,
            sender: &'a UserName,
            #[serde(skip_serializing_if = "Option::is_none")]
            destination: Option<&'a str>,
            body: &'a Body,
            #[serde(rename = "type")]
            kind: MessageType,
            #[serde(skip_serializing_if = "Metadata::is_empty")]
            metadata: &'a Metadata,
            client_id: &'a ClientId,
            timestamp: Timestamp,
        }
        let form = Form {
            id: self.id,
            conversation: &self.conversation,
            seq: self.seq,
            at: self.at,
            sender: &self.sender,
            destination: self.dm_receiver(),
            body: &self.body,
            kind: self.kind,
            metadata: &self.metadata,
            client_id: &self.client_id,
            timestamp: self.timestamp,
        };
        form.serialize(serializer)
    }
}

fn with_destination(schema: &mut Schema) {
    let Some(properties) = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut) else {
        return;
    };
    let description = "In a direct conversation, the name key of the user it was said to.";
    properties.insert(
        "destination".to_owned(),
        serde_json::json!({ "type": "string", "description": description }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn event(conversation: ConversationId, sender: &str) -> Event {
        let at = Timestamp::from_micros(0);
        Event {
            id: Uuid::nil(),
            conversation,
            seq: 1,
            at,
            sender: name(sender),
            body: Body::parse("hi").unwrap(),
            kind: MessageType::Chat,
            metadata: Metadata::default(),
            client_id: ClientId::fresh(),
            timestamp: at,
        }
    }

    #[test]
    fn only_the_json_of_a_direct_message_has_a_destination_and_it_is_ignored_when_read() {
        let direct = event(ConversationId::dm(&name("Alice"), &name("bob")), "bob");
        let json = serde_json::to_value(&direct).unwrap();
        assert_eq!(json["destination"], "alice");
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), direct);
        let room = event(ConversationId::room(Uuid::now_v7()), "bob");
        let json = serde_json::to_value(&room).unwrap();
        assert_eq!(json.get("destination"), None);
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), room);
    }

    #[test]
    fn what_somebody_said_is_news_to_the_others_and_a_note_to_oneself_to_oneself() {
        let (alice, bob) = (name("alice"), name("bob"));
        let said = event(ConversationId::dm(&alice, &bob), "alice");
        assert!(said.is_incoming_for(&bob) && !said.is_incoming_for(&alice));
        assert!(event(ConversationId::dm(&bob, &bob), "bob").is_incoming_for(&bob));
        assert!(!event(ConversationId::room(Uuid::nil()), "bob").is_incoming_for(&bob));
    }
}
