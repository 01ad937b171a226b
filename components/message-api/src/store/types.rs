//! Arguments and results of the store.

use std::error::Error;
use std::future::Future;
use std::ops::Range as Indexes;
use std::pin::Pin;
use std::sync::Arc;

use kit::metrics::Histogram;
use protocol::api::OwnBatch;
use protocol::limits::METADATA_BYTES;
use protocol::{Event, UserName};
use serde_json::Value;

/// The maximum number of keys per service. Beyond it a new key is rejected; existing keys can still be changed.
pub const STATE_KEYS: u64 = 100_000;
/// The maximum length of a service's key, in bytes.
pub const STATE_KEY_BYTES: usize = 128;
/// The maximum number of devices per user with a cursor. A new one replaces the one unused for longest.
pub const DEVICES: u64 = 32;

/// The duration of transactions that stored messages, until they were durable, over all stores of this process.
pub(crate) static COMMITS: Histogram = Histogram::new();

/// The future result of a store operation.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Receives every committed event once, in the order of each conversation's log. Within one process that is before its sender gets the
/// answer; if several processes write to one store, each receives all events, once a majority of the servers has them.
pub trait Committed: Send + Sync + 'static {
    /// These events were committed.
    fn publish(&self, news: News);

    /// Events may have been missed: whoever needs all of them must read the store.
    fn restart(&self);
}

/// Committed events, in order.
#[derive(Debug, Default)]
pub struct News {
    /// The events.
    pub events: Vec<Event>,
    /// Which of them a reader of the feed appended itself; the others are everybody's.
    pub own: Vec<OwnRun>,
}

/// Successive events that became of successive drafts of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRun {
    /// Their indexes among the [`News`].
    pub events: Indexes<usize>,
    /// The reader's batch.
    pub batch: OwnBatch,
    /// The first draft.
    pub first: usize,
}

impl From<Vec<Event>> for News {
    fn from(events: Vec<Event>) -> Self {
        Self { events, own: Vec::new() }
    }
}

impl News {
    /// Adds an event that became of this draft of a reader's batch.
    pub(crate) fn push_own(&mut self, event: Event, batch: OwnBatch, draft: usize) {
        let index = self.events.len();
        self.events.push(event);
        match self.own.last_mut() {
            Some(run)
                if run.batch == batch && run.events.end == index && run.first + run.events.len() == draft =>
            {
                run.events.end += 1;
            }
            Some(_) | None => self.own.push(OwnRun { events: index..index + 1, batch, first: draft }),
        }
    }
}

/// Reports the progress of opening a store, in a line for people.
pub type ReportProgress = Arc<dyn Fn(&str) + Send + Sync>;

/// Reports no progress.
#[must_use]
pub fn no_progress() -> ReportProgress {
    Arc::new(|_| {})
}

/// Ignores all events.
#[derive(Debug)]
pub(crate) struct NoSubscriber;

impl Committed for NoSubscriber {
    fn publish(&self, _: News) {}

    fn restart(&self) {}
}

/// A page of unread events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// In the order of the page.
    pub events: Vec<Event>,
    /// The start of the next page; an opaque value of the store.
    pub end: String,
    /// Whether there are more events already.
    pub more: bool,
}

/// A range of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The events after this one, oldest first.
    After(u64),
    /// The newest events before this one.
    Before(u64),
}

/// A value for a service to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatePut {
    /// The service.
    pub owner: UserName,
    /// The key: 1 to [`STATE_KEY_BYTES`] bytes without control characters.
    pub key: String,
    /// The value as JSON text of at most [`METADATA_BYTES`], or `None` to delete it.
    pub value: Option<String>,
}

impl StatePut {
    /// Validates key and value.
    ///
    /// # Errors
    /// If one of them is too long, or the key is empty or not printable.
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

/// Why a store operation failed. Clones share their source: a failed commit is reported to all callers in it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The request breaks a rule; retrying does not help.
    #[error("{detail}")]
    Refused {
        /// The field that breaks it.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The store is unavailable: nothing was acknowledged, and retrying may help.
    #[error("{detail}")]
    Unavailable {
        /// The reason, for people.
        detail: String,
        /// The underlying error.
        #[source]
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// The disk is nearly full: nothing was stored, and nothing will be until an operator frees space.
    #[error("{detail}")]
    Full {
        /// How much is left, for people.
        detail: String,
    },
    /// The sender exceeded their limit.
    #[error("{detail}")]
    Limited {
        /// The sender and the limit, for people.
        detail: String,
        /// The time until they may send again.
        again: std::time::Duration,
    },
    /// Stored data cannot be read, or differs from what was written. Retrying does not help until somebody repairs it.
    #[error("{detail}")]
    Damaged {
        /// The reason, for people.
        detail: String,
        /// The underlying error.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
}

impl StoreError {
    /// A request that breaks a rule.
    pub fn refused(field: &'static str, detail: impl Into<String>) -> Self {
        Self::Refused { field, detail: detail.into() }
    }

    /// The store is unavailable, without an underlying error.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::Unavailable { detail: detail.into(), source: None }
    }

    /// The store is unavailable because of `source`.
    pub fn because(detail: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Unavailable { detail: detail.into(), source: Some(Arc::new(source)) }
    }

    /// Stored data differs from what was written.
    pub fn damaged(detail: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Damaged { detail: detail.into(), source: Arc::new(source) }
    }
}
