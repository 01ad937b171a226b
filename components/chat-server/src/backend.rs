//! The message API as the rest of the server sees it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kit::backoff::Backoff;
use protocol::native::Durability;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use transport::ApiError;

use crate::api::Api;

/// Reads at once. When every session must catch up, a few at a time do.
const READS: usize = 16;
/// A store that is away is asked again within this time.
const RETRY_CAP: Duration = Duration::from_millis(500);
/// A read that was refused is refused again until somebody changes the message API.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// A client of the message API, and what is known of its store.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Whom it asks.
    pub(crate) api: Api,
    relaxed: AtomicBool,
    reads: Semaphore,
}

impl Backend {
    /// Nothing is asked yet.
    pub(crate) fn new(api: Api) -> Self {
        Self { api, relaxed: AtomicBool::new(false), reads: Semaphore::new(READS) }
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
        self.read_or_tell(read, |_| ()).await
    }

    /// As [`Self::read`]; `refused` hears for how long the store has been saying that it cannot, each time that it does.
    pub(crate) async fn read_or_tell<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        read: impl Fn() -> F,
        mut refused: impl FnMut(Duration),
    ) -> T {
        let mut backoff = Backoff::new(Duration::from_millis(50), RETRY_CAP);
        let mut since = None;
        loop {
            let place = self.reads.acquire().await.expect("the semaphore is never closed");
            // Boxed, and not before there is a place: after a restart thousands of sessions wait here.
            let answer = Box::pin(read()).await;
            drop(place);
            match answer {
                Ok(answer) => return answer,
                Err(error) if error.is_passing() => {
                    if matches!(error, ApiError::Unavailable(_)) {
                        refused(since.get_or_insert_with(Instant::now).elapsed());
                    }
                    let error = kit::failure::chain(&error);
                    tracing::debug!(error, "cannot read from the message API; will try again");
                    tokio::time::sleep(backoff.next_delay().max(Duration::from_millis(10))).await;
                }
                Err(error) => {
                    refused(since.get_or_insert_with(Instant::now).elapsed());
                    let error = kit::failure::chain(&error);
                    tracing::error!(
                        error,
                        "the message API refuses a read, so unread messages of a session are not shown"
                    );
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
            }
        }
    }
}
