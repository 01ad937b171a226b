//! Moves cursors: the latest place of each is kept and sent to the message API in batches.
//!
//! The life of a move: [`Cursors::advance`] → merged with an earlier one of the same cursor → within [`GATHER`] posted with the
//! others → on failure kept, and posted again. A move that is lost means that an event is shown again, never that one is not shown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use protocol::api::CursorMove;
use protocol::native::Device;
use protocol::{ConversationId, UserName};
use tokio::sync::Notify;

use crate::backend::Backend;

/// Moves gather for this long, so that a lively conversation costs one write and not hundreds.
const GATHER: Duration = Duration::from_millis(50);
/// Cursors that wait to be moved. Overflow rule: others stay where they are, and those events are shown again.
const LIMIT: usize = 64 * 1024;
/// Moves in one request.
const BATCH: usize = 1024;
/// How long a login waits for moves of its user to get there.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// Between two attempts while the message API is away.
const RETRY: Duration = Duration::from_millis(250);

type Cursor = (UserName, Option<Device>, ConversationId);

/// Cursors on their way to the store.
#[derive(Debug)]
pub(crate) struct Cursors {
    backend: Arc<Backend>,
    waiting: Mutex<HashMap<Cursor, u64>>,
    /// Held while moves are on their way, so that whoever has it knows that none are.
    posting: tokio::sync::Mutex<()>,
    wake: Notify,
}

impl Cursors {
    /// Nothing waits.
    pub(crate) fn new(backend: Arc<Backend>) -> Arc<Self> {
        let (waiting, posting, wake) = (Mutex::default(), tokio::sync::Mutex::default(), Notify::new());
        Arc::new(Self { backend, waiting, posting, wake })
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Cursor, u64>> {
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
        self.keep((user.clone(), device.cloned(), conversation), seq);
        self.wake.notify_one();
    }

    fn keep(&self, cursor: Cursor, seq: u64) {
        let mut waiting = self.waiting();
        if let Some(known) = waiting.get_mut(&cursor) {
            *known = seq.max(*known);
        } else if waiting.len() < LIMIT {
            waiting.insert(cursor, seq);
        }
    }

    /// Posts what gathers, for ever.
    pub(crate) async fn run(&self) {
        loop {
            self.wake.notified().await;
            tokio::time::sleep(GATHER).await;
            while !self.post(None).await {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Waits until a user's moves are in the store, but not for long; says whether they are.
    pub(crate) async fn flush(&self, user: &UserName) -> bool {
        // A store that is away keeps the moves waiting here, and they are posted when it is back.
        tokio::time::timeout(FLUSH_TIMEOUT, self.post(Some(user))).await.unwrap_or(false)
    }

    /// Waits until everything is in the store, but not for long.
    pub(crate) async fn flush_all(&self) {
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, self.post(None)).await;
    }

    /// Posts a user's moves, or everybody's; says whether that worked.
    async fn post(&self, user: Option<&UserName>) -> bool {
        let _posting = self.posting.lock().await;
        loop {
            let batch = InFlight { cursors: self, moves: self.take(user) };
            if batch.moves.is_empty() {
                return true;
            }
            let moves = batch.moves.iter().map(|((user, device, conversation), seq)| CursorMove {
                user: user.clone(),
                device: device.clone(),
                conversation: conversation.clone(),
                seq: *seq,
            });
            match self.backend.api.move_cursors(moves.collect()).await {
                Ok(()) => batch.done(),
                // What breaks a rule would break it again.
                Err(transport::ApiError::Refused(detail)) => {
                    tracing::warn!(detail, "cursors were refused");
                    batch.done();
                }
                Err(_) => return false,
            }
        }
    }

    fn take(&self, user: Option<&UserName>) -> Vec<(Cursor, u64)> {
        let mut waiting = self.waiting();
        let wanted = |cursor: &Cursor| user.is_none_or(|user| cursor.0 == *user);
        let mut left = BATCH;
        let batch = waiting
            .extract_if(|cursor, _| {
                let take = left > 0 && wanted(cursor);
                left -= usize::from(take);
                take
            })
            .collect();
        if waiting.is_empty() {
            *waiting = HashMap::new();
        }
        batch
    }
}

/// Moves that are being posted. They wait again if that fails or is given up.
struct InFlight<'a> {
    cursors: &'a Cursors,
    moves: Vec<(Cursor, u64)>,
}

impl InFlight<'_> {
    fn done(mut self) {
        self.moves.clear();
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if self.moves.is_empty() {
            return;
        }
        self.moves.drain(..).for_each(|(cursor, seq)| self.cursors.keep(cursor, seq));
        self.cursors.wake.notify_one();
    }
}
