//! What `GET /messages/{user}` answered and of which nobody knows yet whether it was read. Its cursors move when that is known.
//!
//! Whoever reads what a user has not seen waits for these first ([`Handovers::settle`]): what a client has read is not handed over
//! again, also when it asks at once, on the same or another connection. An answer that was not read whole comes again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use kit::http::Connection;
use protocol::UserName;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::store::StoreError;

/// Handovers that are followed at once. Overflow rule: one more counts as unread, and comes again.
const FOLLOWED: usize = 4096;
/// An answer that is read on is written at once, unless its peer is slow.
const GRACE: Duration = Duration::from_millis(100);
/// An answer that was written is acknowledged within this, or its peer is gone.
const ACKNOWLEDGED: Duration = Duration::from_secs(2);
/// The same connection's next request waits for this long; its answers are in order anyway.
const IN_ORDER: Duration = Duration::from_secs(30);
/// At our own end the last ones get this long.
const LAST: Duration = Duration::from_secs(1);

/// The handovers that are not settled.
#[derive(Debug, Default)]
pub(crate) struct Handovers {
    /// Bound: [`FOLLOWED`] entries in all, and those of connections that are being answered.
    open: Mutex<HashMap<UserName, Vec<Arc<Pending>>>>,
    tasks: TaskTracker,
}

/// An answer whose last message was handed over.
#[derive(Debug)]
struct Pending {
    connection: Arc<Connection>,
    /// The connection's flushes when the body had ended; the largest number before.
    ended_at: AtomicU64,
    hurry: CancellationToken,
    settled: CancellationToken,
}

/// A handover that is about to end. Dropped, it counts as unread.
#[derive(Debug)]
pub(crate) struct Ending {
    handovers: Arc<Handovers>,
    user: UserName,
    pending: Arc<Pending>,
}

impl Handovers {
    fn open(&self) -> MutexGuard<'_, HashMap<UserName, Vec<Arc<Pending>>>> {
        self.open.lock().expect("nobody panics while holding this lock")
    }

    /// To be called before the last bytes of an answer are handed over.
    pub(crate) fn end(
        self: &Arc<Self>,
        user: UserName,
        connection: Arc<Connection>,
        shutdown: &CancellationToken,
    ) -> Ending {
        let pending = Arc::new(Pending {
            connection,
            ended_at: AtomicU64::new(u64::MAX),
            hurry: shutdown.child_token(),
            settled: CancellationToken::new(),
        });
        self.open().entry(user.clone()).or_default().push(Arc::clone(&pending));
        Ending { handovers: Arc::clone(self), user, pending }
    }

    /// Waits until it is known what was read of what this user was handed over; not for clients that are still reading.
    pub(crate) async fn settle(&self, user: &UserName, asking: Option<&Arc<Connection>>) {
        let pending = self.open().get(user).cloned().unwrap_or_default();
        for pending in pending {
            pending.hurry.cancel();
            let settled = pending.settled.cancelled();
            let mut settled = std::pin::pin!(settled);
            if asking.is_some_and(|asking| Arc::ptr_eq(asking, &pending.connection)) {
                // It gives up sooner only when the answer before was not taken, and then nobody takes this one either.
                let _ = timeout(IN_ORDER, settled).await;
            } else if timeout(GRACE, settled.as_mut()).await.is_err() && pending.is_written() {
                let _ = timeout(ACKNOWLEDGED, settled).await;
            }
        }
    }

    /// Settles what is left, when no more requests come.
    pub(crate) async fn finish(&self) {
        self.tasks.close();
        // What is not known by then comes again.
        let _ = timeout(LAST, self.tasks.wait()).await;
    }
}

impl Pending {
    fn is_written(&self) -> bool {
        self.connection.flushes() > self.ended_at.load(Ordering::Relaxed)
    }
}

impl Ending {
    /// The last bytes are handed over now: does what `settle` says, which moves the cursors, once they were read.
    pub(crate) fn follow(self, settle: impl Future<Output = Result<(), StoreError>> + Send + 'static) {
        let handovers = Arc::clone(&self.handovers);
        let receipt = self.pending.connection.receipt(self.pending.hurry.clone());
        self.pending.ended_at.store(self.pending.connection.flushes(), Ordering::Relaxed);
        if handovers.tasks.len() >= FOLLOWED {
            return;
        }
        handovers.tasks.spawn(async move {
            if !receipt.is_read().await {
                tracing::debug!(user = %self.user, "a response was not read completely; its messages stay unread");
            } else if let Err(error) = settle.await {
                let error = kit::failure::chain(&error);
                tracing::warn!(user = %self.user, error, "cannot move cursors; read messages will be delivered again");
            }
            drop(self);
        });
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut open = self.handovers.open();
        if let Some(pending) = open.get_mut(&self.user) {
            pending.retain(|pending| !Arc::ptr_eq(pending, &self.pending));
            if pending.is_empty() {
                open.remove(&self.user);
            }
        }
        drop(open);
        self.pending.settled.cancel();
    }
}
