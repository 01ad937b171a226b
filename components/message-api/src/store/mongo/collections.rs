//! The layout of the database.

use std::time::Duration;

use bson::Document;
use mongodb::{Client, Collection};

use super::clock::Clock;
use super::document::EventDocument;

/// The default database.
pub const DATABASE: &str = "messaging_db";
/// The version of the documents. 1: events had a `destination` and no numbers; these remain as they are.
pub(super) const SCHEMA: i32 = 2;
/// After this time a majority is unavailable; the outcome is then looked up.
pub(super) const MAJORITY_TIMEOUT: Duration = Duration::from_secs(5);

/// The collections of the database with their client. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Collections {
    /// The logs.
    pub(super) events: Collection<EventDocument>,
    /// `_id` is the conversation's key, `members` are its users' keys. Events before `begin` were deleted, numbers up to `floor` are not
    /// assigned again.
    pub(super) conversations: Collection<Document>,
    /// Counts of logs that an earlier version began; see [`checkpoints`](super::checkpoints).
    pub(super) checkpoints: Collection<Document>,
    /// The users' cursors; see [`unread`](super::unread).
    pub(super) cursors: Collection<Document>,
    /// The devices' cursors.
    pub(super) device_cursors: Collection<Document>,
    /// The registered users.
    pub(super) users: Collection<Document>,
    /// Counters of numbers that are assigned once.
    pub(super) counters: Collection<Document>,
    /// Values of services.
    pub(super) state: Collection<Document>,
    /// The version of the layout, the state of its migration, and whether a restore is in progress.
    pub(super) schema: Collection<Document>,
    /// Shared by all reads.
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
