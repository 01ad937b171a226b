//! What the frames of the native dialect carry.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::limits::DEVICE_BYTES;
use crate::validated::string_type;
use crate::{Body, ClientId, ConversationId, Event, MessageType, Metadata, Timestamp, UserName};

/// A device of a user: 1 to [`DEVICE_BYTES`] printable ASCII characters without spaces. Each device has cursors of its own.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Device(std::sync::Arc<str>);

/// A text cannot name a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a device name is 1 to {DEVICE_BYTES} printable ASCII characters without spaces")]
pub struct DeviceError;

impl Device {
    /// Reads a device name.
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

/// Who connects, and from where on it wants to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// The user's name.
    #[serde(deserialize_with = "crate::name::checked")]
    pub name: UserName,
    /// The token of an earlier `welcome`, to join the user's other sessions, or a service's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Which device of the user this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// The last `seq` this device holds of each conversation: events past it are sent again. Conversations not named
    /// start at the user's cursor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cursors: BTreeMap<ConversationId, u64>,
    /// The `log` of the welcome that came with those cursors. Where the server keeps another log by now, they mean nothing in it and are
    /// ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Uuid>,
    /// Whether unseen events are wanted at all. A bot that must not answer old questions says no.
    #[serde(default = "yes")]
    pub replay: bool,
    /// Whether `presence` frames are wanted.
    #[serde(default = "yes")]
    pub presence: bool,
    /// Whether the list of conversations is wanted in `welcome`.
    #[serde(default = "yes")]
    pub conversations: bool,
    /// Whether `delivered` frames are wanted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub receipts: bool,
}

fn yes() -> bool {
    true
}

impl Hello {
    /// A plain greeting: no token, unnamed device, everything wanted.
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

/// Something to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Send {
    /// The client's id of the message; the same id sent again is the same message. Made by the server where missing.
    #[serde(default = "ClientId::fresh")]
    pub client_id: ClientId,
    /// To whom.
    #[serde(deserialize_with = "crate::name::checked")]
    pub to: UserName,
    /// What.
    pub body: Body,
    /// What kind of message it is.
    #[serde(rename = "kind", default)]
    pub kind: MessageType,
    /// What it carries beside its text.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// When it was said, where that is not now: a message written offline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// Whether its way is to be remembered, however busy the server is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trace: bool,
}

/// Which message's way is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceRequest {
    /// The message's id, or its sender's id of it.
    pub message: String,
    /// A service's token. With it nobody has to say hello, and the message may be anybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Where a message has been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trace {
    /// The sender's id of it.
    pub client_id: ClientId,
    /// The conversation.
    pub conversation: ConversationId,
    /// Its id, once it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Its place in the conversation, once it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// What happened to it, in order.
    pub steps: Vec<TraceStep>,
}

/// One step of a message's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceStep {
    /// What happened.
    pub stage: TraceStage,
    /// When.
    pub at: Timestamp,
    /// Where, for people.
    pub place: String,
}

/// What can happen to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceStage {
    /// A session took it in.
    Accepted,
    /// It is stored.
    Stored,
    /// The feed brought it to the chat server.
    Feed,
    /// It was put on the way to a session.
    Written,
    /// Its receiver has seen it.
    Seen,
}

/// How far a conversation was shown.
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
    /// With whom.
    pub with: UserName,
    /// Only events before this one; the newest where missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// How many at most; more than [`PAGE_EVENTS`](crate::limits::PAGE_EVENTS) count as that many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The answer to `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Welcome {
    /// The name as the server shows it.
    pub name: UserName,
    /// Shown again in a later `hello`, it joins this user's sessions while one of them is online. Keep it as one keeps a password.
    pub token: String,
    /// Everybody online in the order they came, this user included.
    pub online: Vec<UserName>,
    /// The user's conversations, the most recent first, at most [`PAGE_EVENTS`](crate::limits::PAGE_EVENTS).
    pub conversations: Vec<ConversationSummary>,
    /// What an `ack` promises.
    pub durability: Durability,
    /// Which log this server keeps. It is another one after a restore: a client whose cursors belong to another log forgets them. Missing
    /// while the store is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Uuid>,
}

/// What "stored" means on this server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// On the disk: it survives the loss of power.
    #[default]
    Fsync,
    /// With the system: it survives the crash of any process, not that of the machine.
    Relaxed,
}

/// One of a user's conversations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationSummary {
    /// The conversation.
    pub conversation: ConversationId,
    /// With whom.
    pub with: UserName,
    /// The `seq` of its last event.
    pub head: u64,
    /// The user's cursor in it.
    pub seen: u64,
    /// How many events of the other user lie past the cursor.
    pub unseen: u64,
    /// Its last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Event>,
}

/// A message was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ack {
    /// The sender's id of it.
    pub client_id: ClientId,
    /// The conversation.
    pub conversation: ConversationId,
    /// Its place there.
    pub seq: u64,
    /// Its id.
    pub id: Uuid,
    /// When it was stored.
    pub at: Timestamp,
    /// Whether the same `client_id` had been stored before; then this is the first result.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
    /// What "stored" means here.
    pub durability: Durability,
    /// Whether the receiver is online.
    pub online: bool,
}

/// An event for this session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventFrame {
    /// What was said.
    pub event: Event,
    /// Whether it was read from the store rather than passed on as it happened.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// A page of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryPage {
    /// With whom, as it was asked.
    pub with: UserName,
    /// The conversation.
    pub conversation: ConversationId,
    /// Its events in order of `seq`.
    pub events: Vec<Event>,
    /// Whether there are older ones.
    pub more: bool,
}

/// Why something could not be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorFrame {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// The message it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// For `retry`: how long to wait before sending the same again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// The kinds of errors. A connection is closed after `bad_name`, `taken`, `reserved`, `full` and `expected_hello`, and goes on after the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The frame is not JSON, lacks a field, or holds one that breaks a rule.
    BadFrame,
    /// The frame's `type` is not known.
    UnknownType,
    /// The frame is longer than [`LINE_BYTES`](crate::limits::LINE_BYTES).
    TooLong,
    /// The first frame must be `hello`.
    ExpectedHello,
    /// The name breaks a rule.
    BadName,
    /// Somebody is online under this name and the token is not theirs.
    Taken,
    /// The name belongs to a service.
    Reserved,
    /// The server has as many sessions as it takes, or this address has.
    Full,
    /// Not stored, nothing known against it: send it again with the same `client_id`.
    Retry,
    /// Not stored, and it never will be.
    Refused,
}
