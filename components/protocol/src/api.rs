//! The bodies of the message API: the three endpoints existing programs use (`WIRE` §3), and those our own servers use.
//!
//! | method and path | asks | answers | token |
//! | --- | --- | --- | --- |
//! | `POST /messages/` | [`PostMessage`] | [`Stored`] | from loopback none |
//! | `GET /messages/{user}?ack=&limit=` | | [`Inbox`] | from loopback none |
//! | `POST /messages/{user}/seen` | [`SeenMessages`] | `{}` | from loopback none |
//! | `GET /health` | | [`Health`] | none |
//! | `POST /v1/append` | [`AppendRequest`] | [`AppendResponse`] | yes |
//! | `GET /v1/feed?epoch=&after=` | | JSON lines of [`FeedFrame`], without end | yes |
//! | `GET /v1/users/{user}/unseen?after=&limit=` | | [`UnseenPage`] | yes |
//! | `GET /v1/users/{user}/conversations` | | [`Conversations`] | yes |
//! | `POST /v1/cursors` | [`CursorMoves`] | `{}` | yes |
//! | `GET /v1/conversations/{id}/events?after=&before=&limit=` | | [`EventPage`] | yes |
//! | `GET /v1/users?after=&limit=` | | [`Users`] | yes |
//! | `POST /v1/users/known` | [`Names`] | [`Names`] | yes |
//! | `POST /v1/users/standing` | [`NameAsked`] | [`Standing`] | yes |
//! | `POST /v1/users` | [`RegisterUser`] | `{}` | yes |
//! | `GET /v1/state/{owner}` | | [`StateEntries`] | yes |
//! | `PUT /v1/state/{owner}/{key}` | [`StateValue`] | `{}` | yes |
//! | `GET /v1/backup` | | JSON lines: everything that is kept | yes |
//! | `POST /v1/retention` | [`RetentionRequest`] | [`Retention`] | yes |
//! | `POST /v1/restore` | [`RestoreRequest`] | [`Restored`] | yes |
//!
//! Those that are posted below `/v1` are [`Call`]s: their types say the path and the answer. Any error is a [`Problem`]. The token goes in `Authorization: Bearer …`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::native::{ConversationSummary, Device, Durability};
use crate::{Body, ConversationId, Draft, Event, MessageType, Metadata, Timestamp, UserName};

/// A question that is posted to the message API as JSON. Its type says where it goes and what is answered, for the server, its
/// document and every client: a new question is a type here, and the function that answers it.
pub trait Call: Serialize + DeserializeOwned + JsonSchema + Send + 'static {
    /// What is answered.
    type Answer: Serialize + DeserializeOwned + JsonSchema + Send;
    /// Where it is posted.
    const PATH: &'static str;
    /// Whether it may take as long as it takes.
    const LASTS: bool = false;
}

/// The answer where there is nothing to say: `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {}

impl Call for AppendRequest {
    type Answer = AppendResponse;
    const PATH: &'static str = "/v1/append";
}

impl Call for CursorMoves {
    type Answer = Done;
    const PATH: &'static str = "/v1/cursors";
}

impl Call for RegisterUser {
    type Answer = Done;
    const PATH: &'static str = "/v1/users";
}

impl Call for Names {
    type Answer = Self;
    const PATH: &'static str = "/v1/users/known";
}

impl Call for NameAsked {
    type Answer = Standing;
    const PATH: &'static str = "/v1/users/standing";
}

impl Call for RestoreRequest {
    type Answer = Restored;
    const PATH: &'static str = "/v1/restore";
    const LASTS: bool = true;
}

impl Call for RetentionRequest {
    type Answer = Retention;
    const PATH: &'static str = "/v1/retention";
    const LASTS: bool = true;
}

/// A message as existing programs post it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PostMessage {
    /// Who says it.
    #[serde(deserialize_with = "crate::name::checked")]
    pub sender: UserName,
    /// To whom.
    #[serde(deserialize_with = "crate::name::checked")]
    pub destination: UserName,
    /// What is said.
    pub message: Body,
    /// When it was said; now where missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// What kind of message it is.
    #[serde(rename = "type", default)]
    pub kind: MessageType,
    /// What it carries beside its text.
    #[serde(default)]
    pub metadata: Metadata,
}

/// The answer to a posted message: exactly `{"status":"stored"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stored {
    /// Always `stored`.
    pub status: StoredStatus,
}

/// The one thing a posted message can be when it is answered with 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoredStatus {
    /// Committed.
    Stored,
}

/// What a user has not seen, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inbox {
    /// The messages.
    pub messages: Vec<InboxMessage>,
}

/// A message as existing programs read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InboxMessage {
    /// The message's id.
    #[serde(rename = "_id")]
    pub id: String,
    /// Who said it.
    pub sender: UserName,
    /// Who reads it, as they were asked for.
    pub destination: UserName,
    /// What was said.
    #[serde(deserialize_with = "crate::body::stored")]
    pub message: Body,
    /// When.
    pub timestamp: Timestamp,
    /// What kind of message it is.
    #[serde(rename = "type")]
    pub kind: MessageType,
    /// What it carries beside its text.
    pub metadata: Metadata,
    /// Where it stands, with `ack=manual` only: what `POST /messages/{user}/seen` takes.
    #[serde(flatten)]
    pub place: Option<SeenMessage>,
}

/// Messages that were read, as `GET /messages/{user}?ack=manual` answers them. Other fields are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeenMessages {
    /// The messages; the last of each conversation says it all.
    pub messages: Vec<SeenMessage>,
}

/// A message that was read, and with it all earlier ones of its conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeenMessage {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its number there.
    pub seq: u64,
}

impl InboxMessage {
    /// An event as it is read by this user, whose name existing programs expect in it.
    #[must_use]
    pub fn new(event: Event, reader: &UserName) -> Self {
        Self {
            place: None,
            id: event.id.to_string(),
            sender: event.sender,
            destination: reader.clone(),
            message: event.body,
            timestamp: event.timestamp,
            kind: event.kind,
            metadata: event.metadata,
        }
    }
}

/// The answer of `/health`: exactly `{"status":"ok"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
}

/// Messages to store, in this order, as one batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppendRequest {
    /// At most [`BATCH_DRAFTS`](crate::limits::BATCH_DRAFTS).
    pub drafts: Vec<Draft>,
}

/// What became of each draft, in the order they were sent. All of them are durable when this is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppendResponse {
    /// One for each draft.
    pub results: Vec<Appended>,
    /// What "durable" means here.
    pub durability: Durability,
}

/// Where a message was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Appended {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its place there.
    pub seq: u64,
    /// Its id.
    pub id: Uuid,
    /// When it was stored.
    pub at: Timestamp,
    /// Whether the same sender had stored the same client id before; then this is the first result.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

/// One line of the feed: every committed event, in order, without gap from [`FeedFrame::Start`] on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FeedFrame {
    /// The first line: where the feed begins.
    Start {
        /// Which run of the feed this is; positions of another run mean nothing in it.
        epoch: Uuid,
        /// The position of the last event before this feed.
        index: u64,
        /// Whether it goes on right after the position that was asked for. If not, events may have been missed and must be read
        /// from the store.
        resumed: bool,
        /// Which log the store keeps. It is another one after a restore: then what readers remember of places in it means nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<Uuid>,
    },
    /// A committed event.
    Event {
        /// Its position, one more than the one before.
        index: u64,
        /// The event.
        event: Box<Event>,
    },
    /// A user has seen a conversation up to `seq`, without a session: by `GET /messages/{user}`.
    Seen {
        /// Its position, one more than the one before.
        index: u64,
        /// Who.
        user: UserName,
        /// What.
        conversation: ConversationId,
        /// How far.
        seq: u64,
    },
    /// Nothing happened for a while; the feed is alive. Sent every few seconds.
    Heartbeat {
        /// The position of the last event.
        index: u64,
    },
}

/// A position in the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeedPosition {
    /// The run of the feed.
    pub epoch: Uuid,
    /// The last event's position in it.
    pub index: u64,
}

/// Unseen events of a user, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnseenPage {
    /// The events.
    pub events: Vec<Event>,
    /// Asks for the next page; missing on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The end of the feed, taken before the events were read: whatever it holds for this user is in this page or a later one, or was seen.
    pub began: FeedPosition,
    /// The end of the feed, taken after the events were read: an event behind it that is not in this page or an earlier one is new.
    pub position: FeedPosition,
}

/// A user's conversations, the most recent first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conversations {
    /// At most [`PAGE_EVENTS`](crate::limits::PAGE_EVENTS).
    pub conversations: Vec<ConversationSummary>,
}

/// Cursors to move. A cursor never moves back, and never past the end of its conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CursorMoves {
    /// Each on its own.
    pub moves: Vec<CursorMove>,
}

/// A user has seen a conversation up to `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CursorMove {
    /// Who.
    pub user: UserName,
    /// On which device; the user's own cursor, which is the furthest of all, moves in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// What.
    pub conversation: ConversationId,
    /// How far.
    pub seq: u64,
}

/// A page of a conversation in order of `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Whether there are more in the direction that was asked for.
    pub more: bool,
}

/// Registered users, in order of first registration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Users {
    /// At most [`PAGE_USERS`](crate::limits::PAGE_USERS).
    pub users: Vec<User>,
    /// The number of the last one in that order.
    #[serde(default)]
    pub last: u64,
    /// Whether there are users behind it; ask for those after `last`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A registered user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// The name as first written.
    pub name: UserName,
    /// The last known address, `IP:PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// When they were first seen.
    pub first_seen: Timestamp,
    /// When they last logged in.
    pub last_seen: Timestamp,
}

/// Some names; as an answer, those of the asked ones that are registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Names {
    /// At most [`KNOWN_NAMES`](crate::limits::KNOWN_NAMES).
    pub names: Vec<UserName>,
}

/// A name that somebody wants to take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NameAsked {
    /// The name.
    pub name: UserName,
}

/// Whether somebody can take a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    /// It is registered: whoever comes with it comes back.
    pub registered: bool,
    /// It is new, and the name of this registered user looks the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks_like: Option<UserName>,
    /// The time by the clock that dates messages.
    pub now: Timestamp,
}

/// Somebody logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegisterUser {
    /// Who.
    pub name: UserName,
    /// From where, `IP:PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// What a service keeps here between its runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateEntries {
    /// By key.
    pub entries: BTreeMap<String, serde_json::Value>,
}

/// A value to keep, or `null` to forget the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateValue {
    /// At most [`METADATA_BYTES`](crate::limits::METADATA_BYTES) of JSON.
    pub value: Option<serde_json::Value>,
}

/// A backup to become what is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreRequest {
    /// The file's whole path, on the message API's machine.
    pub file: std::path::PathBuf,
}

/// How much a backup holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupTotals {
    /// Those who ever logged in.
    pub users: u64,
    /// Values that services keep.
    pub states: u64,
    /// Conversations.
    pub conversations: u64,
    /// Messages.
    pub events: u64,
}

/// Asks for what is too old to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetentionRequest {
    /// Delete it, however much it is; otherwise it is only counted.
    pub confirmed: bool,
}

/// What is too old to be kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retention {
    /// All messages that are kept.
    pub messages: u64,
    /// Those of them that are too old, or too many.
    pub expired: u64,
    /// Those that were deleted now.
    pub deleted: u64,
    /// Why nothing was deleted, where something would have been.
    pub held: Option<String>,
}

/// What a restore has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restored {
    /// How much the store holds now.
    pub totals: BackupTotals,
    /// The file that holds what was there before, where there is one.
    pub kept: Option<std::path::PathBuf>,
}

/// Why a request could not be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// For people: what was wrong, where, and what to do.
    pub detail: String,
    /// The field it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}
