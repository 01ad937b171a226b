//! Converts between events and documents.

use bson::Bson;
use protocol::{Body, ClientId, ConversationId, Draft, Event, MessageType, Metadata, Timestamp, UserName};
use serde::{Deserialize, Serialize};

use super::counted::Counted;
use crate::store::StoreError;

/// From this difference on, the order and the time of an event are stored separately.
const OFF: u64 = 1_000_000;

/// An event. Times are microseconds since 1970, because BSON's dates have milliseconds. Metadata is JSON text: a client's keys never become
/// keys of ours.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EventDocument {
    #[serde(rename = "_id")]
    pub(super) id: bson::Uuid,
    pub(super) conversation: String,
    pub(super) seq: i64,
    /// The counts up to it ([`Counted`]). Missing in events of version 1, which have [`checkpoints`](super::checkpoints).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ordinal: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<i64>,
    /// The `seq` of the event that this one refers to, and of the one that started its thread. Not used yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thread: Option<i64>,
    /// Its position in the order over all conversations, which within each is that of the log. It is the writer's clock, but more than the
    /// order of every event known there: a logical clock (Kulkarni et al., "Logical Physical Clocks", 2014). Not shown to users.
    #[serde(rename = "at")]
    pub(super) order: i64,
    /// When it was stored, if `order` is far from that because some clock is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<i64>,
    sender: String,
    pub(super) sender_key: String,
    pub(super) client_id: String,
    body: String,
    #[serde(rename = "type")]
    kind: MessageType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    /// Whether it came from another store; then it is not published.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    imported: bool,
}

/// An event with its position in the order over all conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) order: i64,
    pub(super) event: Event,
}

impl EventDocument {
    /// Makes the document of a draft with this `seq`, stored at `now`.
    pub(super) fn new(draft: &Draft, seq: u64, order: i64, now: i64, counted: Counted) -> Self {
        Self {
            id: bson::Uuid::from_bytes(uuid::Uuid::now_v7().into_bytes()),
            conversation: draft.conversation.as_str().to_owned(),
            seq: i64::try_from(seq).expect("no log has 2^63 events"),
            ordinal: Some(counted.ordinal),
            sent: Some(counted.sent_by(&draft.conversation, draft.sender.key())),
            target: None,
            thread: None,
            order,
            time: (order.abs_diff(now) > OFF).then_some(now),
            sender: draft.sender.as_str().to_owned(),
            sender_key: draft.sender.key().to_owned(),
            client_id: draft.client_id.as_str().to_owned(),
            body: draft.body.as_str().to_owned(),
            kind: draft.kind,
            metadata: (!draft.metadata.is_empty()).then(|| draft.metadata.to_json()),
            timestamp: draft.timestamp.map(Timestamp::micros),
            imported: false,
        }
    }

    /// The same, but not published.
    pub(super) fn unpublished(self) -> Self {
        Self { imported: true, ..self }
    }

    /// Makes the document of another store's event.
    pub(super) fn imported(event: &Event, order: i64, counted: Counted) -> Self {
        Self {
            id: bson::Uuid::from_bytes(event.id.into_bytes()),
            conversation: event.conversation.as_str().to_owned(),
            seq: i64::try_from(event.seq).expect("no log has 2^63 events"),
            ordinal: Some(counted.ordinal),
            sent: Some(counted.sent_by(&event.conversation, event.sender.key())),
            target: None,
            thread: None,
            order,
            time: (order != event.at.micros()).then(|| event.at.micros()),
            sender: event.sender.as_str().to_owned(),
            sender_key: event.sender.key().to_owned(),
            client_id: event.client_id.as_str().to_owned(),
            body: event.body.as_str().to_owned(),
            kind: event.kind,
            metadata: (!event.metadata.is_empty()).then(|| event.metadata.to_json()),
            timestamp: (event.timestamp != event.at).then(|| event.timestamp.micros()),
            imported: true,
        }
    }

    /// The counts up to it.
    pub(super) fn counted(&self, conversation: &ConversationId) -> Option<Counted> {
        Some(Counted::read(conversation, &self.sender_key, self.ordinal?, self.sent?))
    }

    /// The event and its position.
    pub(super) fn into_placed(self) -> Result<Placed, StoreError> {
        Ok(Placed { order: self.order, event: self.into_event()? })
    }

    /// The event, with validated parts: others may write to the database.
    pub(super) fn into_event(self) -> Result<Event, StoreError> {
        let at = Timestamp::from_micros(self.time.unwrap_or(self.order));
        let metadata = match self.metadata {
            Some(json) => serde_json::from_str::<Metadata>(&json).map_err(damaged)?,
            None => Metadata::default(),
        };
        Ok(Event {
            id: uuid::Uuid::from_bytes(self.id.bytes()),
            conversation: ConversationId::parse(&self.conversation).map_err(damaged)?,
            seq: u64::try_from(self.seq).map_err(damaged)?,
            at,
            sender: UserName::stored(&self.sender).map_err(damaged)?,
            body: Body::stored(&self.body).map_err(damaged)?,
            kind: self.kind,
            metadata,
            client_id: ClientId::parse(&self.client_id).map_err(damaged)?,
            timestamp: self.timestamp.map_or(at, Timestamp::from_micros),
        })
    }
}

/// A document without the expected content.
pub(super) fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::damaged("a document in MongoDB is damaged", error)
}

/// Any number beyond the end has the same meaning.
pub(super) fn number(seq: u64) -> Bson {
    Bson::Int64(i64::try_from(seq).unwrap_or(i64::MAX))
}
