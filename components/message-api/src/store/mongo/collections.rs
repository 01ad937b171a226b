//! What is where in the database.

use std::time::Duration;

use bson::Document;
use mongodb::{Client, Collection};

use super::clock::Clock;
use super::document::EventDocument;

/// Where the URL names no database.
pub const DATABASE: &str = "messaging_db";
/// The layout of the documents. 1: events had a `destination` and no numbers; they are left as they are.
pub(super) const SCHEMA: i32 = 2;
/// A majority that takes longer is not there; the outcome is then looked up.
pub(super) const MAJORITY_TIMEOUT: Duration = Duration::from_secs(5);

/// The collections of the database, and the client they belong to. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Collections {
    /// The logs.
    pub(super) events: Collection<EventDocument>,
    /// `_id` is the conversation's key, `members` its users' keys. Events before `begin` were removed, places up to `floor` are not
    /// given away again.
    pub(super) conversations: Collection<Document>,
    /// What was counted of logs that an earlier version began; see [`checkpoints`](super::checkpoints).
    pub(super) checkpoints: Collection<Document>,
    /// How far a user has seen a conversation; see [`unread`](super::unread).
    pub(super) cursors: Collection<Document>,
    /// How far a device has.
    pub(super) device_cursors: Collection<Document>,
    /// Those who logged in.
    pub(super) users: Collection<Document>,
    /// Numbers that are handed out once each.
    pub(super) counters: Collection<Document>,
    /// What services keep.
    pub(super) state: Collection<Document>,
    /// The version of all this, whether all of it has come to that, and whether it is being restored.
    pub(super) schema: Collection<Document>,
    /// What every read of them knows of.
    pub(super) clock: Clock,
}

impl Collections {
    pub(super) fn of(client: &Client) -> Self {
        let database = client.default_database().unwrap_or_else(|| client.database(DATABASE));
        Self {
            events: database.collection("events"),
            conversations: database.collection("conversations"),
            checkpoints: database.collection("checkpoints"),
            cursors: database.collection("cursors"),
            device_cursors: database.collection("device_cursors"),
            users: database.collection("users"),
            counters: database.collection("counters"),
            state: database.collection("state"),
            schema: database.collection("schema"),
            clock: Clock::default(),
        }
    }
}
