//! The content of the native dialect's frames.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::limits::DEVICE_BYTES;
use crate::validated::string_type;
use crate::{Body, ClientId, ConversationId, Event, MessageType, Metadata, Timestamp, UserName};

/// A device of a user: 1 to [`DEVICE_BYTES`] printable ASCII characters without spaces. Each device has its own cursors.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Device(std::sync::Arc<str>);

/// The text is not a valid device name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a device name is 1 to {DEVICE_BYTES} printable ASCII characters without spaces")]
pub struct DeviceError;

impl Device {
    /// Parses a device name.
    ///
    /// # Errors
    /// When it is empty, too long, or holds anything but printable ASCII.
    pub fn parse(text: &str) -> Result<Self, DeviceError> {
        let fits = (1..=DEVICE_BYTES).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(DeviceError)
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

string_type!(Device, "Device", "1 to 64 printable ASCII characters without spaces");

/// Logs in, and states which events and frames the client wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// The user's name.
    #[serde(deserialize_with = "crate::name::checked")]
    pub name: UserName,
    /// The token of an earlier `welcome`, to join the user's other sessions, or the service token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The user's device; without it, the session uses the user's cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// The last `seq` that this device has of each conversation: later events are sent again. Other conversations start at the user's
    /// cursor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cursors: BTreeMap<ConversationId, u64>,
    /// The `log` of the welcome that came with those cursors. If the server's log has changed since, the cursors are invalid and ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Uuid>,
    /// Whether to send unread events. Bots that must not answer old messages set it to false.
    #[serde(default = "yes")]
    pub replay: bool,
    /// Whether to send `presence` frames.
    #[serde(default = "yes")]
    pub presence: bool,
    /// Whether `welcome` includes the list of conversations.
    #[serde(default = "yes")]
    pub conversations: bool,
    /// Whether to send `delivered` frames.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub receipts: bool,
}

fn yes() -> bool {
    true
}

impl Hello {
    /// A `hello` with defaults: no token, no device, everything wanted.
    #[must_use]
    pub fn new(name: UserName) -> Self {
        Self {
            name,
            token: None,
            device: None,
            cursors: BTreeMap::new(),
            log: None,
            replay: true,
            presence: true,
            conversations: true,
            receipts: false,
        }
    }
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Send {
    /// The client's id of the message, which makes retries idempotent. The server assigns one if it is missing.
    #[serde(default = "ClientId::fresh")]
    pub client_id: ClientId,
    /// The recipient.
    #[serde(deserialize_with = "crate::name::checked")]
    pub to: UserName,
    /// The text.
    pub body: Body,
    /// Decides how clients show the message.
    #[serde(rename = "kind", default)]
    pub kind: MessageType,
    /// Data for programs, beside the text.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// When it was written, if not now: for messages written offline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// Whether to trace it, however busy the server is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trace: bool,
}

/// Requests the trace of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceRequest {
    /// The message's id or client id.
    pub message: String,
    /// The service token. With it, no `hello` is needed, and the message may be any user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// The trace of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trace {
    /// The sender's id of the message.
    pub client_id: ClientId,
    /// The conversation.
    pub conversation: ConversationId,
    /// Its id, once it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Its number in the conversation, once it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The steps so far, in order.
    pub steps: Vec<TraceStep>,
}

/// One step of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceStep {
    /// The stage that the message reached.
    pub stage: TraceStage,
    /// When it happened.
    pub at: Timestamp,
    /// Where it happened, human-readable.
    pub place: String,
}

/// A stage in the delivery of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceStage {
    /// A session accepted it.
    Accepted,
    /// The store committed it.
    Stored,
    /// The chat server received it from the feed.
    Feed,
    /// It was written to a recipient's session.
    Written,
    /// Its recipient has read it.
    Seen,
}

/// How far a conversation was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    /// The conversation.
    pub conversation: ConversationId,
    /// The last event shown.
    pub seq: u64,
}

/// Which page of a conversation is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryRequest {
    /// The other user.
    pub with: UserName,
    /// Only events before this `seq`; without it, the newest events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// Most events to return, capped at [`PAGE_EVENTS`](crate::limits::PAGE_EVENTS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The answer to `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Welcome {
    /// The name as the server shows it.
    pub name: UserName,
    /// Sent in a later `hello`, it joins this user's sessions while one of them is online. Store it like a password.
    pub token: String,
    /// All online users in the order of their logins, including this user.
    pub online: Vec<UserName>,
    /// The user's conversations, the most recent first, at most [`PAGE_EVENTS`](crate::limits::PAGE_EVENTS).
    pub conversations: Vec<ConversationSummary>,
    /// The durability that an `ack` guarantees.
    pub durability: Durability,
    /// Identifies the store's log. A restore changes it, and clients must discard cursors of another log. Missing while the server does not
    /// know the store yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Uuid>,
}

/// The durability of acknowledged messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Synced to disk: survives a power failure.
    #[default]
    Fsync,
    /// Written to the operating system: survives the crash of any process, but not of the machine.
    Relaxed,
}

/// One of a user's conversations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationSummary {
    /// The conversation.
    pub conversation: ConversationId,
    /// The other user.
    pub with: UserName,
    /// The `seq` of its last event.
    pub head: u64,
    /// The user's cursor in it.
    pub seen: u64,
    /// The number of unread events.
    pub unseen: u64,
    /// Its last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Event>,
}

/// Acknowledges that a message is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ack {
    /// The sender's id of the message.
    pub client_id: ClientId,
    /// The conversation.
    pub conversation: ConversationId,
    /// Its number in the conversation.
    pub seq: u64,
    /// Its id.
    pub id: Uuid,
    /// When it was stored.
    pub at: Timestamp,
    /// Whether a message with this `client_id` was already stored; the other fields then describe it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
    /// The durability that the store guarantees.
    pub durability: Durability,
    /// Whether the recipient is online.
    pub online: bool,
}

/// An event for this session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventFrame {
    /// The event itself.
    pub event: Event,
    /// Whether it was read from the store and not delivered live.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// A page of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryPage {
    /// The other user, spelled as in the request.
    pub with: UserName,
    /// The conversation.
    pub conversation: ConversationId,
    /// Its events in order of `seq`.
    pub events: Vec<Event>,
    /// Whether there are older ones.
    pub more: bool,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorFrame {
    /// Machine-readable kind of the error.
    pub code: ErrorCode,
    /// Human-readable reason.
    pub message: String,
    /// The client id of the message concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// For `retry`: how long to wait before retrying, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// The kinds of errors. A connection is closed after `bad_name`, `taken`, `reserved`, `full` and `expected_hello`, and goes on after the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The frame is not JSON, or a field is missing or invalid.
    BadFrame,
    /// The frame's `type` is unknown.
    UnknownType,
    /// The frame is longer than [`LINE_BYTES`](crate::limits::LINE_BYTES).
    TooLong,
    /// The first frame must be `hello`.
    ExpectedHello,
    /// The name breaks a rule.
    BadName,
    /// A user of this name is online and the token is not theirs.
    Taken,
    /// The name has an account, and the token is not one of its.
    Protected,
    /// The name belongs to a service.
    Reserved,
    /// The server or this address has reached its limit of sessions.
    Full,
    /// Not stored because of a temporary failure: retry with the same `client_id`.
    Retry,
    /// Not stored; a retry would fail again.
    Refused,
}
