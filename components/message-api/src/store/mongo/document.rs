//! How events stand in documents.

use bson::Bson;
use protocol::{Body, ClientId, ConversationId, Draft, Event, MessageType, Metadata, Timestamp, UserName};
use serde::{Deserialize, Serialize};

use super::counted::Counted;
use crate::store::StoreError;

/// From here on a place in the order of all events and the time at which it was taken are told apart.
const OFF: u64 = 1_000_000;

/// An event. Times are microseconds since 1970, for BSON's own dates end at milliseconds. Metadata is JSON text: a client's keys
/// never become keys of ours.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EventDocument {
    #[serde(rename = "_id")]
    pub(super) id: bson::Uuid,
    pub(super) conversation: String,
    pub(super) seq: i64,
    /// What was counted up to it ([`Counted`]). Missing where version 1 stored it: then
    /// [`checkpoints`](super::checkpoints) tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ordinal: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<i64>,
    /// The `seq` of the event that this one is about, and of that whose thread it is in. Nothing has either yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thread: Option<i64>,
    /// Its place in the order of all conversations' events, which is that of the log within each. It is the time by the clock of
    /// who stored it, but more than that of every event that was known there: a logical clock (Kulkarni et al., "Logical Physical
    /// Clocks", 2014). No person is shown it.
    #[serde(rename = "at")]
    pub(super) order: i64,
    /// When it was stored, where `order` is far from that: some clock is wrong.
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
    /// Whether it came from another store; then it is nobody's news.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    imported: bool,
}

/// An event with its place in the order of all conversations' events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) order: i64,
    pub(super) event: Event,
}

impl EventDocument {
    /// A draft at its place in the log, stored `now`.
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

    /// The same, which nobody is told of.
    pub(super) fn without_news(self) -> Self {
        Self { imported: true, ..self }
    }

    /// An event of another store.
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

    /// What was counted up to it.
    pub(super) fn counted(&self, conversation: &ConversationId) -> Option<Counted> {
        Some(Counted::read(conversation, &self.sender_key, self.ordinal?, self.sent?))
    }

    /// The event and its place.
    pub(super) fn into_placed(self) -> Result<Placed, StoreError> {
        Ok(Placed { order: self.order, event: self.into_event()? })
    }

    /// The event, with its parts checked again: others may write to the database.
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

/// A document that does not hold what we wrote.
pub(super) fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::damaged("a document in MongoDB is damaged", error)
}

/// Of whatever size, what is past the end is past the end.
pub(super) fn number(seq: u64) -> Bson {
    Bson::Int64(i64::try_from(seq).unwrap_or(i64::MAX))
}
