//! What keeps the messages: one trait, two implementations ([`sqlite`] and [`mongo`]), one contract (`tests/contract`).
//!
//! A store answers only with what is durable. It knows nothing of HTTP, sessions or who may ask for what.

pub mod mongo;
pub mod open;
pub mod sqlite;

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use kit::metrics::Histogram;
use protocol::api::{Appended, CursorMove, EventPage, RegisterUser, Restored, Users};
use protocol::limits::METADATA_BYTES;
use protocol::native::{ConversationSummary, Durability};
use protocol::{ConversationId, Draft, Event, UserName};
use serde_json::Value;
use uuid::Uuid;

pub(crate) use open::directory;
pub use open::{OpenError, inspect, open, verify};

/// Most keys a service keeps. Past it a new key is refused; the ones that are there can still be changed.
pub const STATE_KEYS: u64 = 100_000;
/// Longest key a service uses, in bytes.
pub const STATE_KEY_BYTES: usize = 128;
/// Most devices of one user whose cursors are kept. A new one takes the place of the one that was silent the longest.
pub const DEVICES: u64 = 32;

/// How long the transactions of this process's stores took that stored messages, until these were durable.
pub(crate) static COMMITS: Histogram = Histogram::new();

/// The answer of a store, some time later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A conversation's log for each pair of users, a cursor for each of them, and what services keep.
pub trait Store: Send + Sync + 'static {
    /// Appends drafts in order. All are durable when this is answered; on an error some may be, and sending the same
    /// drafts again tells, for a client id that its sender has used before yields the first result.
    fn append(&self, drafts: Vec<Draft>) -> Answer<'_, Vec<Appended>>;

    /// What a user has not seen, oldest first over all conversations: events for the user past the user's cursors.
    /// `after` is the `end` of the page before. At most `limit` events, and those between them that were stored late: each
    /// conversation's are without a gap over all pages. A store that cannot see to that begins with the first page again, so events may
    /// come twice. As with [`Store::events`], all of them were published.
    fn unseen<'a>(&'a self, user: &'a UserName, after: Option<&'a str>, limit: usize) -> Answer<'a, Unseen>;

    /// A user's conversations, the most recent first, at most `limit`.
    fn conversations<'a>(&'a self, user: &'a UserName, limit: usize) -> Answer<'a, Vec<ConversationSummary>>;

    /// A page of a conversation, in order of `seq` whichever way it was asked for. Everything in it that is published at all was
    /// published before this is answered: whoever takes the feed's position then knows that none of it comes after.
    fn events<'a>(
        &'a self,
        conversation: &'a ConversationId,
        range: Range,
        limit: usize,
    ) -> Answer<'a, EventPage>;

    /// Moves cursors forward: never back, never past the end. A move in a conversation that has no events does nothing.
    fn move_cursors(&self, moves: Vec<CursorMove>) -> Answer<'_, ()>;

    /// Notes that a user logged in.
    fn register(&self, user: RegisterUser) -> Answer<'_, ()>;

    /// Those who ever registered, in order of first registration, behind the one of this number; at most `limit`.
    fn users(&self, after: u64, limit: usize) -> Answer<'_, Users>;

    /// Which log this is: made with the store, and another one after a restore.
    fn log(&self) -> Answer<'_, Uuid>;

    /// Those of these names that are registered, at most [`KNOWN_NAMES`](protocol::limits::KNOWN_NAMES) of them.
    fn known(&self, names: Vec<UserName>) -> Answer<'_, Vec<UserName>>;

    /// Who registered first of those whose names look like this one and are others ([`UserName::skeleton`]).
    fn lookalike<'a>(&'a self, name: &'a UserName) -> Answer<'a, Option<UserName>>;

    /// What a service keeps.
    fn state<'a>(&'a self, owner: &'a UserName) -> Answer<'a, BTreeMap<String, Value>>;

    /// Keeps a value, or forgets it with `None`.
    fn put_state(&self, put: StatePut) -> Answer<'_, ()>;

    /// The conversations behind `after` in order of their keys, at most `limit`.
    fn all_conversations<'a>(
        &'a self,
        after: Option<&'a ConversationId>,
        limit: usize,
    ) -> Answer<'a, Vec<ConversationId>>;

    /// Every cursor in a conversation: those of its users, then those of their devices.
    fn cursors<'a>(&'a self, conversation: &'a ConversationId) -> Answer<'a, Vec<CursorMove>>;

    /// What services keep behind this owner and key, in their order, at most `limit`.
    fn all_state(&self, after: Option<(UserName, String)>, limit: usize) -> Answer<'_, Vec<StatePut>>;

    /// Removes the events of a conversation up to this `seq`, a few hundred at most, and answers how many there were. The last event
    /// of a log must stay: the next one's place is counted from it.
    fn forget<'a>(&'a self, conversation: &'a ConversationId, up_to: u64) -> Answer<'a, u64>;

    /// Becomes what a backup holds: all of it, or nothing has changed. The feed then begins a new epoch.
    fn restore(&self, backup: PathBuf) -> Answer<'_, Restored>;

    /// Whether something could be stored now: does all that storing does, and stores nothing.
    fn probe(&self) -> Answer<'_, ()>;

    /// Reads all of the store and tells what is damaged in it; nothing where it is as it should be, or sees to that alone.
    fn verify(&self) -> Answer<'_, Vec<String>>;

    /// Whether the store was not closed by whoever had it open before.
    fn was_left_open(&self) -> bool;

    /// What "durable" means here.
    fn durability(&self) -> Durability;

    /// Finishes what is under way and closes. What is asked later is refused.
    fn close(&self) -> Answer<'_, ()>;
}

/// Hears of every committed event once, in the order of each conversation's log. In one process that is before its sender does;
/// where several write to one store, all hear of everybody's events, and of each when a majority of the servers has it.
pub trait Committed: Send + Sync + 'static {
    /// These were committed.
    fn publish(&self, events: &[Event]);

    /// Events may have been missed: whoever must know all of them reads the store.
    fn restart(&self);
}

/// Hears, in a line for people, how far opening a store has come that takes long.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// Where nobody waits for it.
#[must_use]
pub fn silent() -> Tell {
    Arc::new(|_| {})
}

/// Nobody listens.
#[derive(Debug)]
pub(crate) struct Unheard;

impl Committed for Unheard {
    fn publish(&self, _: &[Event]) {}

    fn restart(&self) {}
}

/// A page of unseen events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// The events.
    pub events: Vec<Event>,
    /// Where the page after this one starts; only its own store understands it.
    pub end: String,
    /// Whether there is something behind it already.
    pub more: bool,
}

/// Which part of a conversation is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The events after this one, oldest first.
    After(u64),
    /// The newest events before this one.
    Before(u64),
}

/// A value that a service wants kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatePut {
    /// Whose it is.
    pub owner: UserName,
    /// Under which key: 1 to [`STATE_KEY_BYTES`] bytes without control characters.
    pub key: String,
    /// The value as JSON text of at most [`METADATA_BYTES`], or nothing to forget it.
    pub value: Option<String>,
}

impl StatePut {
    /// Checks key and value.
    ///
    /// # Errors
    /// When one of them is too long, or the key is empty or not printable.
    pub fn new(owner: UserName, key: &str, value: Option<&Value>) -> Result<Self, StoreError> {
        if key.is_empty() || key.len() > STATE_KEY_BYTES || key.chars().any(char::is_control) {
            let detail = format!("a key is 1 to {STATE_KEY_BYTES} bytes without control characters");
            return Err(StoreError::refused("key", detail));
        }
        let value = value.map(Value::to_string);
        if value.as_ref().is_some_and(|value| value.len() > METADATA_BYTES) {
            let detail = format!("a value is at most {METADATA_BYTES} bytes of JSON");
            return Err(StoreError::refused("value", detail));
        }
        Ok(Self { owner, key: key.to_owned(), value })
    }
}

/// Why a store did not do what it was asked. Clones share their source: one failed commit is told to all who were in it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// What was asked breaks a rule; asking again will not help.
    #[error("{detail}")]
    Refused {
        /// The field it is about.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// It cannot be done now: nothing was acknowledged, and asking again may help.
    #[error("{detail}")]
    Unavailable {
        /// What the matter is, for people.
        detail: String,
        /// Where it comes from.
        #[source]
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// The disk is nearly full: nothing was stored, and nothing will be before an operator makes room.
    #[error("{detail}")]
    Full {
        /// How much is left, for people.
        detail: String,
    },
    /// Somebody has sent as much as they may.
    #[error("{detail}")]
    Limited {
        /// Who, and how much that is.
        detail: String,
        /// When they may send again.
        again: std::time::Duration,
    },
    /// What is kept cannot be read, or is not what was written. Asking again will not help before somebody repairs it.
    #[error("{detail}")]
    Damaged {
        /// What the matter is, for people.
        detail: String,
        /// Where it comes from.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
}

impl StoreError {
    /// What was asked breaks a rule.
    pub fn refused(field: &'static str, detail: impl Into<String>) -> Self {
        Self::Refused { field, detail: detail.into() }
    }

    /// It cannot be done now, and there is no more to say about it.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::Unavailable { detail: detail.into(), source: None }
    }

    /// It cannot be done now because of `source`.
    pub fn because(detail: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Unavailable { detail: detail.into(), source: Some(Arc::new(source)) }
    }

    /// What was found is not what was written.
    pub fn damaged(detail: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Damaged { detail: detail.into(), source: Arc::new(source) }
    }
}
