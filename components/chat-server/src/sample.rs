//! What the tests of this crate say to each other.

use protocol::{Body, ClientId, ConversationId, Event, MessageType, Metadata, Timestamp, UserName};
use uuid::Uuid;

pub(crate) fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

/// What one user says to another, at this place in their conversation.
pub(crate) fn event(from: &str, to: &str, seq: u64) -> Event {
    let at = Timestamp::from_micros(0);
    Event {
        id: Uuid::nil(),
        conversation: ConversationId::dm(&name(from), &name(to)),
        seq,
        at,
        sender: name(from),
        body: Body::parse("x").unwrap(),
        kind: MessageType::Chat,
        metadata: Metadata::default(),
        client_id: ClientId::fresh(),
        timestamp: at,
    }
}
