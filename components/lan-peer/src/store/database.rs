//! The thread that does everything, and how it is asked.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::damage::Damage;
use super::error::StoreError;
use super::quota::Quota;
use super::schema::{self, OpenError};

/// Calls that may wait; whoever comes then waits for room.
const QUEUE: usize = 256;

type Call = Box<dyn FnOnce(&mut Disk) + Send>;

/// The handle; cheap to clone. The thread ends with the last one.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    calls: mpsc::Sender<Call>,
    /// What strangers may take.
    pub(crate) quota: Arc<Quota>,
    /// Rows that could not be read.
    pub(crate) damage: Damage,
}

/// The file, and whether commits wait until it is on the disk.
struct Disk {
    connection: Connection,
    is_waited_for: bool,
}

impl Store {
    /// Opens the file, and makes it where it is not.
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

    /// Runs `work` on the thread, and waits for its result, which is on the disk.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(true, work).await
    }

    /// The same, not waiting for the disk: for what is found out again when it is lost, and what the next call puts there in any case.
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
            // Whoever asked may have gone; what was done is done.
            let _ = answer.send(result);
        });
        self.calls.send(call).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

impl Disk {
    /// Whether commits wait for the disk from now on; where they do not, the next one that does takes them along.
    fn wait(&mut self, is_waited_for: bool) -> Result<(), StoreError> {
        if self.is_waited_for != is_waited_for {
            let mode = if is_waited_for { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", mode)?;
            self.is_waited_for = is_waited_for;
        }
        Ok(())
    }
}
