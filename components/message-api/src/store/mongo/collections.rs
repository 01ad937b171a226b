//! The layout of the database.

use std::fmt;
use std::marker::PhantomData;

use bson::Document;
use mongo_client::Database;

use super::document::EventDocument;

/// The default database.
pub const DATABASE: &str = "messaging_db";
/// The version of the documents. 1: events had a `destination` and no numbers; these remain as they are.
pub(super) const SCHEMA: i32 = 2;

/// A collection whose documents are read and written as values of this type. Cheap to clone.
pub(super) struct Collection<T> {
    documents: mongo_client::Collection,
    of: PhantomData<fn(T) -> T>,
}

impl<T> Collection<T> {
    fn of(database: &Database, name: &str) -> Self {
        Self { documents: database.collection(name), of: PhantomData }
    }

    /// The same collection, read as values of another type.
    pub(super) fn clone_with_type<U>(&self) -> Collection<U> {
        Collection { documents: self.documents.clone(), of: PhantomData }
    }

    /// Its documents as BSON.
    pub(super) fn documents(&self) -> &mongo_client::Collection {
        &self.documents
    }
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        self.clone_with_type()
    }
}

impl<T> fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.documents.fmt(f)
    }
}

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
    /// All of them.
    pub(super) database: Database,
}

impl Collections {
    pub(super) fn of(database: Database) -> Self {
        let of = |name| Collection::of(&database, name);
        Self {
            events: Collection::of(&database, "events"),
            conversations: of("conversations"),
            checkpoints: of("checkpoints"),
            cursors: of("cursors"),
            device_cursors: of("device_cursors"),
            users: of("users"),
            counters: of("counters"),
            state: of("state"),
            schema: of("schema"),
            database,
        }
    }
}
