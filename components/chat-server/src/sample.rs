//! Names and events for this crate's tests.

use protocol::{Body, ClientId, ConversationId, Event, MessageType, Metadata, Timestamp, UserName};
use uuid::Uuid;

pub(crate) fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

/// A chat message from one user to another, with this `seq`.
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
