//! The message API, as the rest of the server uses it.

pub(crate) mod api;
pub(crate) mod own_batches;
pub(crate) mod page_budget;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kit::backoff::Backoff;
use protocol::native::Durability;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use transport::ApiError;

use crate::backend::api::Api;
use crate::backend::own_batches::OwnBatches;
use crate::backend::page_budget::PageBudget;

/// Concurrent reads, also when every session must catch up.
const READS: usize = 16;
/// The longest pause between retries while the store is unavailable.
const RETRY_CAP: Duration = Duration::from_millis(500);
/// The pause after a rejected read: retrying does not help until an operator repairs the message API.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// The state of the retries of one read.
#[derive(Debug)]
pub(crate) struct Attempts {
    backoff: Backoff,
    /// When the store first reported that it is unavailable.
    refused_since: Option<Instant>,
}

/// A failed attempt, with the pause before the next one.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) why: ReadFailure,
    pub(crate) pause: Duration,
}

/// Why a read failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadFailure {
    /// The message API cannot be reached, or the connection broke.
    Unreachable,
    /// The store has reported for this long that it is unavailable.
    Unavailable(Duration),
    /// The message API rejects the request; an operator must repair it.
    Refused,
}

/// The client of the message API, and what is known about the store.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) api: Api,
    /// What the feed of events need not repeat.
    pub(crate) own: OwnBatches,
    /// Bounds the memory of pages of events.
    pub(crate) pages: PageBudget,
    relaxed: AtomicBool,
    reads: Semaphore,
}

impl Backend {
    /// A backend whose store's durability is unknown so far.
    pub(crate) fn new(api: Api, pages: PageBudget) -> Self {
        Self {
            api,
            own: OwnBatches::default(),
            pages,
            relaxed: AtomicBool::new(false),
            reads: Semaphore::new(READS),
        }
    }

    /// What "stored" means for this store, as last reported.
    pub(crate) fn durability(&self) -> Durability {
        if self.relaxed.load(Ordering::Relaxed) { Durability::Relaxed } else { Durability::Fsync }
    }

    /// Records what "stored" means for this store.
    pub(crate) fn set_durability(&self, durability: Durability) {
        self.relaxed.store(durability == Durability::Relaxed, Ordering::Relaxed);
    }

    /// Reads once, without retries.
    pub(crate) async fn read_once<T>(
        &self,
        read: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let _place = self.reads.acquire().await.expect("the semaphore is never closed");
        read.await
    }

    /// Reads with retries until it succeeds: rarely, and with an error in the log, if the error is permanent. Drop the future to give up.
    pub(crate) async fn read<T, F: Future<Output = Result<T, ApiError>>>(&self, read: impl Fn() -> F) -> T {
        let mut attempts = Attempts::default();
        loop {
            match self.attempt(&mut attempts, &read).await {
                Ok(answer) => return answer,
                Err(failed) => tokio::time::sleep(failed.pause).await,
            }
        }
    }

    /// Makes one attempt to read.
    pub(crate) async fn attempt<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        attempts: &mut Attempts,
        read: impl FnOnce() -> F,
    ) -> Result<T, Failed> {
        let place = self.reads.acquire().await.expect("the semaphore is never closed");
        // Boxed, and only once there is a permit: after a restart thousands of sessions wait here.
        let answer = Box::pin(read()).await;
        drop(place);
        answer.map_err(|error| attempts.failed(&error))
    }
}

impl Default for Attempts {
    fn default() -> Self {
        Self { backoff: Backoff::new(Duration::from_millis(50), RETRY_CAP), refused_since: None }
    }
}

impl Attempts {
    fn failed(&mut self, error: &ApiError) -> Failed {
        let text = kit::failure::chain(error);
        if !error.is_retryable() {
            tracing::error!(
                error = text,
                "the message API refuses a read, so unread messages of a session are not shown"
            );
            return Failed { why: ReadFailure::Refused, pause: REFUSED_PAUSE };
        }
        tracing::debug!(error = text, "cannot read from the message API; will try again");
        let why = match error {
            ApiError::Unavailable(_) => {
                ReadFailure::Unavailable(self.refused_since.get_or_insert_with(Instant::now).elapsed())
            }
            ApiError::Unreachable(_) | ApiError::Refused(_) | ApiError::Malformed(_) => {
                ReadFailure::Unreachable
            }
        };
        Failed { why, pause: self.backoff.next_delay().max(Duration::from_millis(10)) }
    }
}
