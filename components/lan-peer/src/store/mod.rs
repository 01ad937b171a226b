//! What is kept: peers and messages. SQLite, on a thread of its own.
//!
//! The life of a call: it goes into a queue of [`QUEUE`] calls, where callers wait for room; the thread takes it, commits, and answers.
//! What was said is on the disk by then. Who was met outlives a crash of this process at once, and one of the machine once something is
//! said: on a network of fifty everybody meets everybody at a start, and a disk that is waited for each time takes most of it.
//! [`history`] is what was said; [`people`] is everybody who said something or was given a name. [`outbox`] numbers what goes out to
//! our own nodes, and [`inbox`] takes in what is next. [`quota`] bounds what strangers may take of the room.

mod history;
mod inbox;
mod outbox;
mod people;
mod quota;
mod schema;

use std::path::Path;
use std::sync::Arc;

use kit::metrics::Counter;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

pub(crate) use history::Draft;
pub(crate) use inbox::Incoming;
pub(crate) use outbox::Outgoing;
pub(crate) use people::Person;
pub(crate) use quota::{DEFAULT_MIB, Quota};
pub(crate) use schema::OpenError;

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

/// Rows that the disk or somebody's hand has damaged: each is passed over, so that the others go on. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Damage(Arc<Counter>);

impl Damage {
    /// Counts one, and says which.
    fn note(&self, what: &str, which: &dyn std::fmt::Display) {
        self.0.add(1);
        tracing::warn!("the {what} in row {which} of lan-peer.db is damaged; skipping it");
    }

    /// How often one was met.
    pub(crate) fn counter(&self) -> &Counter {
        &self.0
    }
}

/// The file, and whether commits wait until it is on the disk.
struct Disk {
    connection: Connection,
    is_waited_for: bool,
}

/// A call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// As many messages to this peer wait as may.
    #[error("{0} messages to this peer wait already")]
    QueueFull(u64),
    /// The file has the size that it may have, or the disk is full.
    #[error("the store is full (1 GiB), or its disk is: nothing more is taken in")]
    Full,
    /// Messages that waited were damaged; they are marked as failed, and the numbering begins anew without them.
    #[error("{0} messages that waited for this peer are damaged and will not be sent")]
    Damaged(usize),
    /// SQLite says no.
    #[error("the store does not work")]
    Sqlite(#[source] rusqlite::Error),
    /// The thread is gone.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            _ => Self::Sqlite(error),
        }
    }
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
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(true, work).await
    }

    /// The same, not waiting for the disk: for what is found out again when it is lost, and what the next call puts there in any case.
    async fn call_unsynced<T: Send + 'static>(
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

/// Wire numbers in SQLite's integers: the same bits.
fn to_sql(number: u64) -> i64 {
    number.cast_signed()
}

fn from_sql(number: i64) -> u64 {
    number.cast_unsigned()
}

#[cfg(test)]
mod tests;
