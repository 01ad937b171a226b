//! Moves cursors: the latest place of each is kept and sent to the message API in batches.
//!
//! The life of a move: [`Cursors::advance`] → merged with an earlier one of the same cursor → within [`GATHER`] posted with the
//! others → on failure kept, and posted again; a move that the message API refuses is dropped alone. A login posts what waits for its user in a request of its own ([`Cursors::flush`]): it
//! waits for moves of that user alone, however many of others there are. A move that is lost means that an event is shown again,
//! never that one is not shown.

mod waiting;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use protocol::api::CursorMove;
use protocol::native::Device;
use protocol::{ConversationId, UserName};
use tokio::sync::{Notify, Semaphore, watch};

use crate::backend::Backend;
use waiting::{Batch, Cursor, Waiting};

/// Moves gather for this long, so that a lively conversation costs one write and not hundreds.
const GATHER: Duration = Duration::from_millis(50);
/// Moves in one request. A login waits for a whole request where it carries a move of its user, so not more.
const BATCH: usize = 256;
/// Requests of logins at once. When everybody comes back at the same time, a few at a time do.
const FLUSHES: usize = 8;
/// How long a login waits for moves of its user to get there.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// Between two attempts while the message API is unavailable.
const RETRY: Duration = Duration::from_millis(250);

/// Cursors on their way to the store.
#[derive(Debug)]
pub(crate) struct Cursors {
    backend: Arc<Backend>,
    waiting: Mutex<Waiting>,
    flushes: Semaphore,
    landed: watch::Sender<Landed>,
    wake: Notify,
}

/// How many batches came to an end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Landed {
    all: u64,
    /// Those of which nobody knows that they are stored.
    failed: u64,
}

impl Cursors {
    /// Nothing waits.
    pub(crate) fn new(backend: Arc<Backend>) -> Arc<Self> {
        Arc::new(Self {
            backend,
            waiting: Mutex::default(),
            flushes: Semaphore::new(FLUSHES),
            landed: watch::Sender::default(),
            wake: Notify::new(),
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nobody panics while holding this lock")
    }

    /// A user has seen a conversation up to here.
    pub(crate) fn advance(
        &self,
        user: &UserName,
        device: Option<&Device>,
        conversation: ConversationId,
        seq: u64,
    ) {
        self.waiting().add((user.clone(), device.cloned(), conversation), seq);
        self.wake.notify_one();
    }

    /// Posts what gathers, for ever.
    pub(crate) async fn run(&self) {
        loop {
            self.wake.notified().await;
            tokio::time::sleep(GATHER).await;
            while let Some(batch) = self.take() {
                if !self.post(batch).await {
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Waits until a user's moves are in the store, at most [`FLUSH_TIMEOUT`]; says whether they are.
    pub(crate) async fn flush(&self, user: &UserName) -> bool {
        // While the store is unavailable the moves wait here, and they are posted when it is back.
        tokio::time::timeout(FLUSH_TIMEOUT, self.flush_own(user)).await.unwrap_or(false)
    }

    /// What waits is posted; what is in flight already is waited for. Moves that come in meanwhile are not: a client that sends
    /// `seen` all the time does not hold up its user's other sessions.
    async fn flush_own(&self, user: &UserName) -> bool {
        let mut landed = self.landed.subscribe();
        let before = *landed.borrow_and_update();
        let (own, earlier) = self.waiting().take_own(user);
        if let Some(batch) = own {
            let batch = InFlight { cursors: self, batch, done: 0 };
            let _place = self.flushes.acquire().await.expect("the semaphore is never closed");
            if !self.post(batch).await {
                return false;
            }
        }
        while self.waiting().any_in_flight(user, &earlier) {
            // The sender is in our hands.
            let _ = landed.changed().await;
        }
        earlier.is_empty() || landed.borrow().failed == before.failed
    }

    /// Waits until everything is in the store, at most [`FLUSH_TIMEOUT`].
    pub(crate) async fn flush_all(&self) {
        let all = async {
            let mut landed = self.landed.subscribe();
            loop {
                landed.borrow_and_update();
                if let Some(batch) = self.take() {
                    if !self.post(batch).await {
                        return;
                    }
                } else if self.waiting().is_empty() {
                    return;
                } else {
                    // Others are in flight; the sender is in our hands.
                    let _ = landed.changed().await;
                }
            }
        };
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, all).await;
    }

    fn take(&self) -> Option<InFlight<'_>> {
        let batch = self.waiting().take(BATCH)?;
        Some(InFlight { cursors: self, batch, done: 0 })
    }

    /// Posts a batch, in several requests where it is a large one; says whether that worked. A refused move counts as posted: it
    /// would be refused again.
    async fn post(&self, mut batch: InFlight<'_>) -> bool {
        let (mut refused, mut why) = (0, None);
        // From the first to the last, so that what is done is known when this is given up.
        let mut parts: Vec<&[(Cursor, u64)]> = batch.batch.moves.rchunks(BATCH).collect();
        while let Some(part) = parts.pop() {
            match self.backend.api.move_cursors(part.iter().map(cursor_move).collect()).await {
                Ok(()) => batch.done += part.len(),
                Err(error) if error.is_retryable() => return false,
                // One of them is refused: halved until it is alone, it takes a few requests, and the others are moved.
                Err(_) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(error) => {
                    refused += 1;
                    batch.done += 1;
                    why.get_or_insert(error);
                }
            }
        }
        if let Some(error) = why {
            let error = kit::failure::chain(&error);
            tracing::warn!(
                error,
                refused,
                "the message API refuses to move cursors; their users are shown again what they have seen"
            );
        }
        true
    }
}

fn cursor_move(((user, device, conversation), seq): &(Cursor, u64)) -> CursorMove {
    let (user, device, conversation) = (user.clone(), device.clone(), conversation.clone());
    CursorMove { user, device, conversation, seq: *seq }
}

/// Moves that are being posted. Those that are not done wait again when this is dropped.
struct InFlight<'a> {
    cursors: &'a Cursors,
    batch: Batch,
    /// So many of them, from the first on, are stored or were refused.
    done: usize,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let (batch, done) = (std::mem::take(&mut self.batch), self.done);
        let failed = done < batch.moves.len();
        self.cursors.waiting().landed(batch, done);
        self.cursors.landed.send_modify(|landed| {
            landed.all += 1;
            landed.failed += u64::from(failed);
        });
        if failed {
            self.cursors.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
