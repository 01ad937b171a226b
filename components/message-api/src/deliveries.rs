//! Answers of `GET /messages/{user}` that are not known to be received yet. Cursors move once they are.
//!
//! Requests for a user's unread messages wait for these first ([`Deliveries::settle`]): what a client has received is not delivered again,
//! even if it asks at once, on the same or another connection. An answer that was not received completely is delivered again.

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

/// Deliveries tracked at once. Overflow rule: a further one counts as not received, and is delivered again.
const TRACKED: usize = 4096;
/// An answer to a client that reads is written within this time, unless the client is slow.
const GRACE: Duration = Duration::from_millis(100);
/// A written answer is acknowledged within this time, or its client has disconnected.
const ACKNOWLEDGED: Duration = Duration::from_secs(2);
/// The next request on the same connection waits this long; its answers are in order anyway.
const IN_ORDER: Duration = Duration::from_secs(30);
/// The last deliveries have this long when the server stops.
const LAST: Duration = Duration::from_secs(1);

/// The deliveries in flight.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    /// Bound: [`TRACKED`] entries in total, and those of connections that are being answered.
    open: Mutex<HashMap<UserName, Vec<Arc<Pending>>>>,
    tasks: TaskTracker,
}

/// An answer whose last message was sent.
#[derive(Debug)]
struct Pending {
    connection: Arc<Connection>,
    /// The connection's flush count when the body had ended; the maximum value before.
    ended_at: AtomicU64,
    hurry: CancellationToken,
    settled: CancellationToken,
}

/// A delivery about to end. If dropped, it counts as not received.
#[derive(Debug)]
pub(crate) struct Ending {
    deliveries: Arc<Deliveries>,
    user: UserName,
    pending: Arc<Pending>,
}

impl Deliveries {
    fn open(&self) -> MutexGuard<'_, HashMap<UserName, Vec<Arc<Pending>>>> {
        self.open.lock().expect("nobody panics while holding this lock")
    }

    /// Must be called before the last bytes of an answer are sent.
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
        Ending { deliveries: Arc::clone(self), user, pending }
    }

    /// Waits until it is known which earlier answers this user received; does not wait for clients that are still reading.
    pub(crate) async fn settle(&self, user: &UserName, asking: Option<&Arc<Connection>>) {
        let pending = self.open().get(user).cloned().unwrap_or_default();
        for pending in pending {
            pending.hurry.cancel();
            let settled = pending.settled.cancelled();
            let mut settled = std::pin::pin!(settled);
            if asking.is_some_and(|asking| Arc::ptr_eq(asking, &pending.connection)) {
                // It gives up sooner only if the previous answer was not received, and then this one will not be either.
                let _ = timeout(IN_ORDER, settled).await;
            } else if timeout(GRACE, settled.as_mut()).await.is_err() && pending.is_written() {
                let _ = timeout(ACKNOWLEDGED, settled).await;
            }
        }
    }

    /// Waits for the remaining deliveries after the last request.
    pub(crate) async fn finish(&self) {
        self.tasks.close();
        // What is not known by then is delivered again.
        let _ = timeout(LAST, self.tasks.wait()).await;
    }
}

impl Pending {
    fn is_written(&self) -> bool {
        self.connection.flushes() > self.ended_at.load(Ordering::Relaxed)
    }
}

impl Ending {
    /// The last bytes are being sent: runs `settle`, which moves the cursors, once they were received.
    pub(crate) fn follow(self, settle: impl Future<Output = Result<(), StoreError>> + Send + 'static) {
        let deliveries = Arc::clone(&self.deliveries);
        let receipt = self.pending.connection.receipt(self.pending.hurry.clone());
        self.pending.ended_at.store(self.pending.connection.flushes(), Ordering::Relaxed);
        if deliveries.tasks.len() >= TRACKED {
            return;
        }
        deliveries.tasks.spawn(async move {
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
        let mut open = self.deliveries.open();
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
