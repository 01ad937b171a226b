//! One entry of a conversation's log.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::{Body, ClientId, ConversationId, MessageType, Metadata, Timestamp, UserName};

/// A stored message: entry `seq` of `conversation`. It is immutable, and durable before anybody sees it.
///
/// It has no destination: the members of its conversation receive it. For programs older than rooms, the JSON form of a direct message has
/// a `destination`, the other user's name key, which is ignored when parsed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(transform = with_destination)]
pub struct Event {
    /// A UUID version 7, unique over all conversations.
    pub id: Uuid,
    /// The conversation whose log contains it.
    pub conversation: ConversationId,
    /// Its number in that log, from 1 without gaps.
    pub seq: u64,
    /// When it was stored; monotonic in `seq` within a conversation, whatever the clock does.
    pub at: Timestamp,
    /// The sender.
    pub sender: UserName,
    /// The text.
    #[serde(deserialize_with = "crate::body::stored")]
    pub body: Body,
    /// Decides how clients show the message.
    #[serde(rename = "type", default)]
    pub kind: MessageType,
    /// Data for programs, beside the text.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The sender's id, unique per sender.
    pub client_id: ClientId,
    /// When the sender wrote it, if the sender stated it; otherwise equal to `at`.
    pub timestamp: Timestamp,
}

impl Event {
    /// The size of its text and metadata.
    #[must_use]
    pub fn content_bytes(&self) -> usize {
        self.body.as_str().len() + self.metadata.bytes()
    }

    /// The name key of the recipient of a direct message; the sender's own in a note to themselves. `None` in a room.
    #[must_use]
    pub fn dm_receiver(&self) -> Option<&str> {
        self.conversation.dm_partner(&self.sender)
    }

    /// Whether this member receives it: somebody else sent it, or it is the member's note to themselves.
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
    fn a_message_is_incoming_for_other_members_and_a_note_to_oneself_for_its_sender() {
        let (alice, bob) = (name("alice"), name("bob"));
        let said = event(ConversationId::dm(&alice, &bob), "alice");
        assert!(said.is_incoming_for(&bob) && !said.is_incoming_for(&alice));
        assert!(event(ConversationId::dm(&bob, &bob), "bob").is_incoming_for(&bob));
        assert!(!event(ConversationId::room(Uuid::nil()), "bob").is_incoming_for(&bob));
    }
}
