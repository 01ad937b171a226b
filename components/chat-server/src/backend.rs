//! The message API as the rest of the server sees it.

pub(crate) mod api;
pub(crate) mod room;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kit::backoff::Backoff;
use protocol::native::Durability;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use transport::ApiError;

use crate::backend::api::Api;
use crate::backend::room::Room;

/// Reads at once. When every session must catch up, a few at a time do.
const READS: usize = 16;
/// A store that is away is asked again within this time.
const RETRY_CAP: Duration = Duration::from_millis(500);
/// A read that was refused is refused again until somebody changes the message API.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// The attempts to read one thing.
#[derive(Debug)]
pub(crate) struct Attempts {
    backoff: Backoff,
    /// When the store said for the first time that it cannot.
    refused_since: Option<Instant>,
}

/// An attempt failed; the next one is due after a pause.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) why: Trouble,
    pub(crate) pause: Duration,
}

/// Why a read does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The message API is unreachable, or the connection to it broke.
    Unreachable,
    /// The store has been saying for this long that it cannot.
    Unavailable(Duration),
    /// The message API refuses: somebody must change it first.
    Refused,
}

/// A client of the message API, and what is known of its store.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Whom it asks.
    pub(crate) api: Api,
    /// For pages of events.
    pub(crate) room: Room,
    relaxed: AtomicBool,
    reads: Semaphore,
}

impl Backend {
    /// Nothing is asked yet.
    pub(crate) fn new(api: Api, room: Room) -> Self {
        Self { api, room, relaxed: AtomicBool::new(false), reads: Semaphore::new(READS) }
    }

    /// What "stored" means there, as far as it has said.
    pub(crate) fn durability(&self) -> Durability {
        if self.relaxed.load(Ordering::Relaxed) { Durability::Relaxed } else { Durability::Fsync }
    }

    /// It said what "stored" means.
    pub(crate) fn set_durability(&self, durability: Durability) {
        self.relaxed.store(durability == Durability::Relaxed, Ordering::Relaxed);
    }

    /// Reads something, once.
    pub(crate) async fn read_once<T>(
        &self,
        read: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let _place = self.reads.acquire().await.expect("the semaphore is never closed");
        read.await
    }

    /// Reads something, again and again until it works; seldom, and with an error in the log, where the answer is not one that
    /// passes. Whoever does not want it any more drops this.
    pub(crate) async fn read<T, F: Future<Output = Result<T, ApiError>>>(&self, read: impl Fn() -> F) -> T {
        let mut attempts = Attempts::default();
        loop {
            match self.attempt(&mut attempts, &read).await {
                Ok(answer) => return answer,
                Err(failed) => tokio::time::sleep(failed.pause).await,
            }
        }
    }

    /// One of the attempts to read something.
    pub(crate) async fn attempt<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        attempts: &mut Attempts,
        read: impl FnOnce() -> F,
    ) -> Result<T, Failed> {
        let place = self.reads.acquire().await.expect("the semaphore is never closed");
        // Boxed, and not before there is a place: after a restart thousands of sessions wait here.
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
            return Failed { why: Trouble::Refused, pause: REFUSED_PAUSE };
        }
        tracing::debug!(error = text, "cannot read from the message API; will try again");
        let why = match error {
            ApiError::Unavailable(_) => {
                Trouble::Unavailable(self.refused_since.get_or_insert_with(Instant::now).elapsed())
            }
            ApiError::Unreachable(_) | ApiError::Refused(_) | ApiError::Malformed(_) => Trouble::Unreachable,
        };
        Failed { why, pause: self.backoff.next_delay().max(Duration::from_millis(10)) }
    }
}
