//! Request and response bodies of the message API: the three endpoints for existing programs (`WIRE` §3), and those for our own servers.
//!
//! | method and path | request | response | token |
//! | --- | --- | --- | --- |
//! | `POST /messages/` | [`PostMessage`] | [`Stored`] | from loopback none |
//! | `GET /messages/{user}?ack=&limit=` | | [`Inbox`] | from loopback none |
//! | `POST /messages/{user}/seen` | [`SeenMessages`] | `{}` | from loopback none |
//! | `GET /health` | | [`Health`] | none |
//! | `POST /v1/append` | [`AppendRequest`] | [`AppendResponse`] | yes |
//! | `GET /v1/feed?epoch=&after=&own=` | | endless JSON lines of [`FeedFrame`] | yes |
//! | `GET /v1/users/{user}/unseen?after=&limit=` | | [`UnseenPage`] | yes |
//! | `GET /v1/users/{user}/conversations` | | [`Conversations`] | yes |
//! | `POST /v1/cursors` | [`CursorMoves`] | `{}` | yes |
//! | `GET /v1/conversations/{id}/events?after=&before=&limit=` | | [`EventPage`] | yes |
//! | `GET /v1/users?after=&limit=` | | [`Users`] | yes |
//! | `POST /v1/users/known` | [`Names`] | [`Names`] | yes |
//! | `POST /v1/users/standing` | [`NameAsked`] | [`Standing`] | yes |
//! | `POST /v1/accounts/add` | [`AddAccount`] | [`Account`] | yes |
//! | `POST /v1/accounts/token` | [`IssueToken`] | [`IssuedToken`] | yes |
//! | `POST /v1/accounts/revoke` | [`RevokeToken`] | [`TokenInfo`] | yes |
//! | `POST /v1/accounts/state` | [`SetAccountState`] | `{}` | yes |
//! | `POST /v1/accounts/list` | [`ListAccounts`] | [`Accounts`] | yes |
//! | `POST /v1/accounts/changed` | [`ChangedAccounts`] | [`Changes`] | yes |
//! | `POST /v1/users` | [`RegisterUser`] | `{}` | yes |
//! | `GET /v1/state/{owner}` | | [`StateEntries`] | yes |
//! | `PUT /v1/state/{owner}/{key}` | [`StateValue`] | `{}` | yes |
//! | `GET /v1/backup` | | JSON lines: the whole store | yes |
//! | `POST /v1/retention` | [`RetentionRequest`] | [`Retention`] | yes |
//! | `POST /v1/restore` | [`RestoreRequest`] | [`Restored`] | yes |
//!
//! The `POST` endpoints below `/v1` are [`Call`]s, whose types define path and response. Every error is a [`Problem`]. The token goes in
//! `Authorization: Bearer …`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::account::{
    Access, Account, Accounts, AddAccount, ChangedAccounts, Changes, IssueToken, IssuedToken, ListAccounts,
    RevokeToken, SetAccountState, TokenInfo,
};
use crate::native::{ConversationSummary, Device, Durability};
use crate::{Body, ConversationId, Draft, Event, MessageType, Metadata, Timestamp, UserName};

/// A request that is posted to the message API as JSON. The type defines the path and the response for the server, the API document and
/// every client: to add a request, add a type here and the function that handles it.
pub trait Call: Serialize + DeserializeOwned + JsonSchema + Send + 'static {
    /// The response body.
    type Answer: Serialize + DeserializeOwned + JsonSchema + Send;
    /// The path of the endpoint.
    const PATH: &'static str;
    /// Whether the request has no time limit.
    const NO_TIMEOUT: bool = false;
}

/// An empty response: `{}`.
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
    const NO_TIMEOUT: bool = true;
}

impl Call for RetentionRequest {
    type Answer = Retention;
    const PATH: &'static str = "/v1/retention";
    const NO_TIMEOUT: bool = true;
}

impl Call for AddAccount {
    type Answer = Account;
    const PATH: &'static str = "/v1/accounts/add";
}

impl Call for IssueToken {
    type Answer = IssuedToken;
    const PATH: &'static str = "/v1/accounts/token";
}

impl Call for RevokeToken {
    type Answer = TokenInfo;
    const PATH: &'static str = "/v1/accounts/revoke";
}

impl Call for SetAccountState {
    type Answer = Done;
    const PATH: &'static str = "/v1/accounts/state";
}

impl Call for ListAccounts {
    type Answer = Accounts;
    const PATH: &'static str = "/v1/accounts/list";
}

impl Call for ChangedAccounts {
    type Answer = Changes;
    const PATH: &'static str = "/v1/accounts/changed";
}

/// The request that existing programs post to store a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PostMessage {
    /// The sender.
    #[serde(deserialize_with = "crate::name::checked")]
    pub sender: UserName,
    /// The recipient.
    #[serde(deserialize_with = "crate::name::checked")]
    pub destination: UserName,
    /// The text.
    pub message: Body,
    /// When the sender wrote it; defaults to the time it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// Decides how clients show the message.
    #[serde(rename = "type", default)]
    pub kind: MessageType,
    /// Data for programs, beside the text.
    #[serde(default)]
    pub metadata: Metadata,
}

/// The answer to a posted message: exactly `{"status":"stored"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stored {
    /// Always `stored`.
    pub status: StoredStatus,
}

/// The only status of a message that was answered with 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoredStatus {
    /// Committed.
    Stored,
}

/// A user's unread messages, oldest first.
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
    /// The sender.
    pub sender: UserName,
    /// The reader, spelled as in the request.
    pub destination: UserName,
    /// The text.
    #[serde(deserialize_with = "crate::body::stored")]
    pub message: Body,
    /// When the sender wrote it.
    pub timestamp: Timestamp,
    /// Decides how clients show the message.
    #[serde(rename = "type")]
    pub kind: MessageType,
    /// Data for programs, beside the text.
    pub metadata: Metadata,
    /// Its position, with `ack=manual` only; `POST /messages/{user}/seen` takes it.
    #[serde(flatten)]
    pub place: Option<SeenMessage>,
}

/// Messages that were read, as `GET /messages/{user}?ack=manual` returned them. Other fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeenMessages {
    /// The read messages; only the last of each conversation has an effect.
    pub messages: Vec<SeenMessage>,
}

/// A message that was read. All earlier messages of its conversation count as read, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeenMessage {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its number there.
    pub seq: u64,
}

impl InboxMessage {
    /// An event for this reader, whose name existing programs expect as its destination.
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
    /// For a reader of the feed that asked for `own` marks: the feed then only tells it where these events are, and this request's answer
    /// what they became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnBatch>,
}

/// A batch of a reader of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnBatch {
    /// The reader, as in the feed's parameter `own`. Only one feed and one process use it.
    pub reader: Uuid,
    /// The reader's number of the batch. Each attempt to store drafts has a new one.
    pub number: u64,
}

/// The result of each draft, in the order of the request. All messages are durable once this is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppendResponse {
    /// One for each draft.
    pub results: Vec<Appended>,
    /// The durability that the store guarantees.
    pub durability: Durability,
}

/// Where a message was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Appended {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its number in the conversation.
    pub seq: u64,
    /// Its id.
    pub id: Uuid,
    /// When it was stored.
    pub at: Timestamp,
    /// Whether the message was already stored under this client id; the other fields then describe the stored one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

/// One line of the feed: every committed event, in order and without gaps from [`FeedFrame::Start`] on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FeedFrame {
    /// The first line: the position at which the feed starts.
    Start {
        /// Identifies this run of the feed; positions of another run are invalid in it.
        epoch: Uuid,
        /// The position of the last event before this feed.
        index: u64,
        /// Whether the feed continues right after the requested position. If not, events may have been missed and must be read from the
        /// store.
        resumed: bool,
        /// Identifies the store's log. A restore changes it, and positions remembered from the previous log become invalid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<Uuid>,
        /// Whether this feed has [`FeedFrame::Own`] for the reader's own batches, as asked for. Otherwise it has all events.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        own: bool,
    },
    /// A committed event.
    Event {
        /// Its position, one more than the one before.
        index: u64,
        /// The event.
        event: Box<Event>,
    },
    /// Committed events that the reader appended itself: these of its batch, in this order. What they became is in the batch's answer.
    Own {
        /// The position of the last of them; that of the first is one more than the one before.
        index: u64,
        /// The reader's number of the batch.
        batch: u64,
        /// The first draft of the batch among them.
        first: usize,
        /// How many drafts of the batch, all of which became events.
        count: usize,
    },
    /// A user has read a conversation up to `seq` without a session, by `GET /messages/{user}`.
    Seen {
        /// Its position, one more than the one before.
        index: u64,
        /// The user's name.
        user: UserName,
        /// The conversation.
        conversation: ConversationId,
        /// The last event read.
        seq: u64,
    },
    /// Shows that the feed is alive when there are no events. Sent every few seconds.
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

/// Unread events of a user, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnseenPage {
    /// The events.
    pub events: Vec<Event>,
    /// Token for the next page; missing on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The end of the feed before the events were read: each event for this user up to it is in this page or a later one, or was read.
    pub began: FeedPosition,
    /// The end of the feed after the events were read: an event past it that is not in this page or an earlier one is new.
    pub position: FeedPosition,
}

/// A user's conversations, the most recent first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conversations {
    /// At most [`PAGE_EVENTS`](crate::limits::PAGE_EVENTS).
    pub conversations: Vec<ConversationSummary>,
}

/// Cursors to advance. A cursor never moves back, and never past the end of its conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CursorMoves {
    /// Applied independently of each other.
    pub moves: Vec<CursorMove>,
}

/// A user has read a conversation up to `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CursorMove {
    /// The user's name.
    pub user: UserName,
    /// The device whose cursor advances. The user's own cursor is the furthest of their devices' and advances in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// The conversation.
    pub conversation: ConversationId,
    /// The last event read.
    pub seq: u64,
}

/// A page of a conversation in order of `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Whether there are more in the requested direction.
    pub more: bool,
}

/// Registered users, in order of first registration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Users {
    /// At most [`PAGE_USERS`](crate::limits::PAGE_USERS).
    pub users: Vec<User>,
    /// The ordinal of the last user in that order.
    #[serde(default)]
    pub last: u64,
    /// Whether there are more users; request those after `last`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A registered user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// The name as spelled at registration.
    pub name: UserName,
    /// The last known address, `IP:PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The time of the first login.
    pub first_seen: Timestamp,
    /// The time of the last login.
    pub last_seen: Timestamp,
}

/// A list of names. In the response, those of the requested names that are registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Names {
    /// At most [`KNOWN_NAMES`](crate::limits::KNOWN_NAMES).
    pub names: Vec<UserName>,
}

/// Asks whether a name can be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NameAsked {
    /// The name.
    pub name: UserName,
    /// The token of its account that the client showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Whether a name can be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    /// The name is registered, so this is a returning user.
    pub registered: bool,
    /// The registered user whose name looks the same, if the name is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks_like: Option<UserName>,
    /// Whether the client may use it, by its account.
    #[serde(default)]
    pub access: Access,
    /// The current time by the clock that timestamps messages.
    pub now: Timestamp,
}

/// Records a user's login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegisterUser {
    /// The user's name.
    pub name: UserName,
    /// The client's address, `IP:PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A service's persistent state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateEntries {
    /// The values by key.
    pub entries: BTreeMap<String, serde_json::Value>,
}

/// A value to store, or `null` to delete the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateValue {
    /// At most [`METADATA_BYTES`](crate::limits::METADATA_BYTES) of JSON.
    pub value: Option<serde_json::Value>,
}

/// Asks to replace the store's content with a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreRequest {
    /// The file's absolute path, on the message API's machine.
    pub file: std::path::PathBuf,
}

/// The number of records in a backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupTotals {
    /// Registered users.
    pub users: u64,
    /// Values stored by services.
    pub states: u64,
    /// Conversations.
    pub conversations: u64,
    /// Messages.
    pub events: u64,
}

/// Asks to count or delete expired messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetentionRequest {
    /// Delete the expired messages, however many there are; otherwise they are only counted.
    pub confirmed: bool,
}

/// The number of expired messages, and of those deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retention {
    /// All stored messages.
    pub messages: u64,
    /// Messages that a retention rule on age or count selects.
    pub expired: u64,
    /// Messages deleted by this request.
    pub deleted: u64,
    /// Why expired messages were not deleted.
    pub held: Option<String>,
}

/// The result of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restored {
    /// The number of records in the store afterwards.
    pub totals: BackupTotals,
    /// The file with the previous content, if it was saved.
    pub kept: Option<std::path::PathBuf>,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Human-readable: what is wrong, where, and what to do.
    pub detail: String,
    /// The field it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}
