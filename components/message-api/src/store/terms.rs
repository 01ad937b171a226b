//! What is said to a store and what it answers.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use kit::metrics::Histogram;
use protocol::limits::METADATA_BYTES;
use protocol::{Event, UserName};
use serde_json::Value;

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
