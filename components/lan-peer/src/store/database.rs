//! The database thread, and calls to it.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::damage::Damage;
use super::error::StoreError;
use super::quota::Quota;
use super::schema::{self, OpenError};

/// Most queued calls; further callers wait.
const QUEUE: usize = 256;

type Call = Box<dyn FnOnce(&mut Disk) + Send>;

/// A handle to the database thread, which ends with the last handle. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    calls: mpsc::Sender<Call>,
    /// The strangers' quota.
    pub(crate) quota: Arc<Quota>,
    /// Damaged rows.
    pub(crate) damage: Damage,
}

/// The connection, and whether commits are synced.
struct Disk {
    connection: Connection,
    is_waited_for: bool,
}

impl Store {
    /// Opens the file, and creates it if missing.
    pub(crate) fn open(path: &Path, quota: Quota) -> Result<Self, OpenError> {
        let mut disk = Disk { connection: schema::open(path)?, is_waited_for: true };
        let (calls, mut queue) = mpsc::channel::<Call>(QUEUE);
        let work = move || {
            while let Some(call) = queue.blocking_recv() {
                call(&mut disk);
            }
        };
        std::thread::Builder::new().name("lan-store".to_owned()).spawn(work).map_err(OpenError::Thread)?;
        Ok(Self { calls, quota: Arc::new(quota), damage: Damage::default() })
    }

    /// Runs `work` on the thread and waits for its result, which is durable.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(true, work).await
    }

    /// The same without syncing: for data that can be learnt again, and which the next synced call makes durable in any case.
    pub(super) async fn call_unsynced<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(false, work).await
    }

    async fn run<T: Send + 'static>(
        &self,
        is_waited_for: bool,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let call: Call = Box::new(move |disk| {
            let result = disk.wait(is_waited_for).and_then(|()| work(&mut disk.connection));
            // The caller may have gone; the work is done anyway.
            let _ = answer.send(result);
        });
        self.calls.send(call).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

impl Disk {
    /// Enables or disables syncing; the next synced commit includes earlier ones.
    fn wait(&mut self, is_waited_for: bool) -> Result<(), StoreError> {
        if self.is_waited_for != is_waited_for {
            let mode = if is_waited_for { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", mode)?;
            self.is_waited_for = is_waited_for;
        }
        Ok(())
    }
}
