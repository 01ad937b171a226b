//! Moves cursors: the latest position of each is held back briefly and sent to the message API in batches.
//!
//! The life of a move: [`Cursors::advance`] → merged with an earlier move of the same cursor → sent with others after [`GATHER`], or
//! [`GATHER_BUSY`] later while many move → retried if that fails; a move that the message API rejects is dropped alone. A login sends the
//! moves of its user in a request of its own ([`Cursors::flush`]), and waits for moves of that user alone, however many others there are. If
//! a move is lost, an event is shown again; no event is lost.

mod pending_moves;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use protocol::api::CursorMove;
use protocol::native::Device;
use protocol::{ConversationId, UserName};
use tokio::sync::{Notify, Semaphore, watch};

use crate::backend::Backend;
use pending_moves::{Batch, Cursor, Waiting};

/// Moves are gathered for this long, so that a busy conversation costs one write instead of hundreds.
const GATHER: Duration = Duration::from_millis(50);
/// Cursors that move within that time, from which on moves are gathered longer: each is a write to the store.
const BUSY: usize = 32;
/// How much longer.
const GATHER_BUSY: Duration = Duration::from_millis(150);
/// Moves per request. Bounded because a login waits for a whole request if that carries a move of its user.
const BATCH: usize = 256;
/// Concurrent requests of logins, also when all users reconnect at the same time.
const FLUSHES: usize = 8;
/// The longest that a login waits for moves of its user to be stored.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// The pause between attempts while the message API is unavailable.
const RETRY: Duration = Duration::from_millis(250);

/// Cursor moves on their way to the store.
#[derive(Debug)]
pub(crate) struct Cursors {
    backend: Arc<Backend>,
    waiting: Mutex<Waiting>,
    flushes: Semaphore,
    landed: watch::Sender<Landed>,
    wake: Notify,
}

/// Counts of completed batches.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Landed {
    all: u64,
    /// Batches that are not known to be stored.
    failed: u64,
}

impl Cursors {
    /// Without moves.
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

    /// Records that a user has read a conversation up to `seq`.
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

    /// Sends gathered moves, forever.
    pub(crate) async fn run(&self) {
        loop {
            self.wake.notified().await;
            self.gather().await;
            // Only what waits now. While many cursors move, some move during each request, and without this limit the next request would
            // follow at once with these few.
            let mut left = self.waiting().len();
            while left > 0
                && let Some(batch) = self.take()
            {
                left = left.saturating_sub(batch.batch.moves.len());
                if !self.post(batch).await {
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn gather(&self) {
        tokio::time::sleep(GATHER).await;
        if self.waiting().len() >= BUSY {
            tokio::time::sleep(GATHER_BUSY).await;
        }
    }

    /// Waits until a user's moves are stored, at most [`FLUSH_TIMEOUT`]; returns whether they are.
    pub(crate) async fn flush(&self, user: &UserName) -> bool {
        // While the store is unavailable the moves stay queued, and are sent when it is back.
        tokio::time::timeout(FLUSH_TIMEOUT, self.flush_own(user)).await.unwrap_or(false)
    }

    /// Sends the user's queued moves and waits for those in flight, but not for moves that arrive meanwhile: a client that keeps sending
    /// `seen` does not delay its user's other sessions.
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
            // Cannot fail: `self` owns the sender.
            let _ = landed.changed().await;
        }
        earlier.is_empty() || landed.borrow().failed == before.failed
    }

    /// Waits until all moves are stored, at most [`FLUSH_TIMEOUT`].
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
                    // Other moves are in flight. The wait cannot fail: `self` owns the sender.
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

    /// Sends a batch in requests of at most [`BATCH`] moves; returns whether that succeeded. A rejected move counts as sent: it would be
    /// rejected again.
    async fn post(&self, mut batch: InFlight<'_>) -> bool {
        let (mut refused, mut why) = (0, None);
        // In order, so that `done` is correct if this future is dropped.
        let mut parts: Vec<&[(Cursor, u64)]> = batch.batch.moves.rchunks(BATCH).collect();
        while let Some(part) = parts.pop() {
            match self.backend.api.move_cursors(part.iter().map(cursor_move).collect()).await {
                Ok(()) => batch.done += part.len(),
                Err(error) if error.is_retryable() => return false,
                // One of the moves is rejected. The batch is halved until that one is alone; the others are moved.
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

/// Moves being sent. Those that are not done are queued again when this is dropped.
struct InFlight<'a> {
    cursors: &'a Cursors,
    batch: Batch,
    /// The number of moves, from the first on, that are stored or were rejected.
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
