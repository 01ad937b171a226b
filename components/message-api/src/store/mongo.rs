//! The store in MongoDB, for existing installations and for several machines: a standalone server or a replica set, from version 4.4 on.
//!
//! * Connecting: [`connect`] finds the server and explains failures; [`collections`] has the layout, [`document`] the form of an event.
//! * Writing: [`writer`] appends after the [`heads`] of the logs, [`cursor_moves`] moves cursors, [`records`] stores users and state.
//! * Reading: [`query`] and [`unseen`], the latter by a [`plan`]; the number of [`unread`] messages follows from the counts in each event
//!   ([`counted`]).
//! * Whole stores: [`export`] reads everything, [`import`] writes everything, [`legacy`] imports an older program's messages.
//! * Earlier versions: [`migration`] and [`numbering`] count their events into [`checkpoints`].
//! * Consistency: [`mongo_client`] bounds every wait, and ensures that no stale data is read; [`session`] has our types of documents.
//! * Feed: [`stream`] publishes what was stored, and [`progress`] tracks how far it has come.
//!
//! Several processes may write to one database: the unique index on `(conversation, seq)` prevents conflicts. On a replica set each process
//! publishes what any of them stored; a standalone server has no change streams, so a process publishes only its own events.

mod checkpoints;
mod collections;
mod connect;
mod counted;
mod cursor_moves;
mod document;
mod edges;
mod export;
mod heads;
mod import;
mod legacy;
mod migration;
mod numbering;
mod plan;
mod progress;
mod query;
mod records;
mod session;
mod stream;
mod unread;
mod unseen;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bson::doc;
use mongo_client::CallError;
use protocol::api::{Appended, BackupTotals, CursorMove, EventPage, RegisterUser, Restored, Users};
use protocol::native::{ConversationSummary, Durability};
use protocol::{ConversationId, Draft, UserName};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::{
    Answer, Committed, Cursors, Log, NoSubscriber, Range, ServiceState, StatePut, Store, StoreError, Unseen,
    UserRegistry,
};
use collections::Collections;
use connect::Prepared;
use progress::Progress;
use stream::Follower;
use writer::{Batch, QUEUE, Writer};

pub use collections::DATABASE;
pub use connect::{MongoOpenError, Opening, greet, legacy_waiting};
pub(crate) use import::Importer;
pub use legacy::Legacy;

/// Time limit for the change stream when closing.
const CLOSING: Duration = Duration::from_millis(300);

/// A store in a MongoDB database. Every write is acknowledged by a majority and journalled, whatever durability is configured: less would
/// lose acknowledged messages when a server process dies.
///
/// Bound: 256 batches wait for the writer. Overflow: further callers wait for a place.
pub struct MongoStore {
    collections: Collections,
    /// `None` once closed.
    queue: Mutex<Option<mpsc::Sender<Batch>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// `None` on a standalone server.
    followed: Option<Followed>,
    committed: Arc<dyn Committed>,
    plans: plan::Plans,
    /// Set during a restore; nothing is appended meanwhile.
    restoring: AtomicBool,
    /// Stops the migration of an older database.
    stop: CancellationToken,
}

/// The task of the change stream.
#[derive(Debug)]
struct Followed {
    progress: Arc<Progress>,
    task: Mutex<Option<JoinHandle<()>>>,
    stop: CancellationToken,
}

impl MongoStore {
    /// Connects to the server, prepares the database and starts the writer.
    ///
    /// # Errors
    /// If the URL is invalid, the server cannot be reached or rejects us, or a newer version made the database.
    pub async fn open(url: &str, committed: Arc<dyn Committed>) -> Result<Self, MongoOpenError> {
        let Prepared { collections, servers, is_old } = connect::open(url).await?;
        records::fill_skeletons(&collections).await.map_err(MongoOpenError::Users)?;
        // Boxed because it is large and rarely has anything to do.
        Box::pin(legacy::import_once(&collections)).await.map_err(MongoOpenError::Legacy)?;
        let followed = Followed::start(&collections, Arc::clone(&committed)).await;
        let followed = followed.map_err(|error| connect::explain(error, &servers))?;
        let store = Self::on(collections, followed, committed);
        if is_old {
            tokio::spawn(migration::run(store.collections.clone(), store.stop.clone()));
        }
        Ok(store)
    }

    /// Like [`open`](Self::open), for a process without a feed: nothing waits for the change stream.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn open_without_feed(url: &str) -> Result<Self, MongoOpenError> {
        let Prepared { collections, .. } = connect::open(url).await?;
        Ok(Self::on(collections, None, Arc::new(NoSubscriber)))
    }

    /// Imports the messages of the older program, even if that was done before.
    ///
    /// # Errors
    /// If the database cannot be opened or written; what was imported until then stays.
    #[must_use]
    pub fn import_legacy(url: &str) -> Opening<'_, Legacy> {
        Box::pin(async move {
            let Prepared { collections, .. } = connect::open(url).await?;
            legacy::import(&collections).await.map_err(MongoOpenError::Legacy)
        })
    }

    fn on(collections: Collections, followed: Option<Followed>, committed: Arc<dyn Committed>) -> Self {
        let (queue, batches) = mpsc::channel(QUEUE);
        let own_news = followed.is_none().then(|| Arc::clone(&committed));
        let progress = followed.as_ref().map(|followed| Arc::clone(&followed.progress));
        let writer = tokio::spawn(Writer::new(collections.clone(), own_news, progress).run(batches));
        let (queue, writer) = (Mutex::new(Some(queue)), Mutex::new(Some(writer)));
        let restoring = AtomicBool::new(false);
        let (plans, stop) = (plan::Plans::default(), CancellationToken::new());
        Self { collections, queue, writer, followed, committed, plans, restoring, stop }
    }

    async fn write(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>, StoreError> {
        let closed = || StoreError::unavailable("the store is closed");
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (reply, answer) = oneshot::channel();
        queue.ok_or_else(closed)?.send(Batch { drafts, reply }).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// An importer of another store's content.
    pub(crate) fn importer(&self) -> Importer {
        Importer(self.collections.clone())
    }

    async fn restore_from(&self, backup: &Path) -> Result<BackupTotals, StoreError> {
        if self.restoring.swap(true, Ordering::AcqRel) {
            return Err(StoreError::unavailable("a backup is being restored already"));
        }
        // The writer works in order: when this returns, what was accepted before is written.
        let result = match self.write(Vec::new()).await {
            Ok(_) => import::restore(&self.collections, backup).await,
            Err(error) => Err(error),
        };
        self.restoring.store(false, Ordering::Release);
        self.committed.restart();
        result
    }
}

impl Followed {
    async fn start(
        collections: &Collections,
        committed: Arc<dyn Committed>,
    ) -> Result<Option<Self>, CallError> {
        let (progress, stop) = (Arc::new(Progress::default()), CancellationToken::new());
        let follower =
            Follower::open(collections.clone(), committed, Arc::clone(&progress), stop.clone()).await?;
        Ok(follower.map(|follower| {
            let task = Mutex::new(Some(tokio::spawn(follower.run())));
            Self { progress, task, stop }
        }))
    }

    async fn close(&self) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It checks several times a second; a server that hangs is not waited for.
            let _ = tokio::time::timeout(CLOSING, task).await;
        }
    }
}

impl Drop for MongoStore {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Log for MongoStore {
    fn events<'a>(
        &'a self,
        conversation: &'a ConversationId,
        range: Range,
        limit: usize,
    ) -> Answer<'a, EventPage> {
        Box::pin(async move {
            let (page, orders) = query::events(&self.collections, conversation, range, limit).await?;
            if let Some(followed) = &self.followed {
                let read = page.events.iter().zip(orders);
                followed.progress.has_shown(&self.collections, read, &[]).await;
            }
            Ok(page)
        })
    }

    fn all_conversations<'a>(
        &'a self,
        after: Option<&'a ConversationId>,
        limit: usize,
    ) -> Answer<'a, Vec<ConversationId>> {
        Box::pin(export::all_conversations(&self.collections, after, limit))
    }

    fn delete_up_to<'a>(&'a self, conversation: &'a ConversationId, up_to: u64) -> Answer<'a, u64> {
        Box::pin(async move {
            // All of it must be counted, because later counts depend on earlier ones.
            heads::heads(&self.collections, std::iter::once(conversation)).await?;
            let begin = doc! { "$max": { "begin": document::number(up_to.saturating_add(1)) } };
            let this = doc! { "_id": conversation.as_str() };
            self.collections.update(&self.collections.conversations, this, begin, false).await?;
            let filter =
                doc! { "conversation": conversation.as_str(), "seq": { "$lte": document::number(up_to) } };
            Ok(self.collections.events.documents().delete_all(filter).await?)
        })
    }

    fn log(&self) -> Answer<'_, Uuid> {
        Box::pin(export::log(&self.collections))
    }
}

impl Cursors for MongoStore {
    fn unseen<'a>(&'a self, user: &'a UserName, after: Option<&'a str>, limit: usize) -> Answer<'a, Unseen> {
        Box::pin(async move {
            let progress = self.followed.as_ref().map(|followed| &*followed.progress);
            unseen::unseen(&self.collections, &self.plans, progress, user, after, limit).await
        })
    }

    fn conversations<'a>(&'a self, user: &'a UserName, limit: usize) -> Answer<'a, Vec<ConversationSummary>> {
        Box::pin(query::conversations(&self.collections, user, limit))
    }

    fn move_cursors(&self, moves: Vec<CursorMove>) -> Answer<'_, ()> {
        Box::pin(cursor_moves::move_cursors(&self.collections, moves))
    }

    fn cursors<'a>(&'a self, conversation: &'a ConversationId) -> Answer<'a, Vec<CursorMove>> {
        Box::pin(export::cursors(&self.collections, conversation))
    }
}

impl UserRegistry for MongoStore {
    fn register(&self, user: RegisterUser) -> Answer<'_, ()> {
        Box::pin(records::register(&self.collections, user))
    }

    fn users(&self, after: u64, limit: usize) -> Answer<'_, Users> {
        Box::pin(records::users(&self.collections, after, limit))
    }

    fn known(&self, names: Vec<UserName>) -> Answer<'_, Vec<UserName>> {
        Box::pin(records::known(&self.collections, names))
    }

    fn lookalike<'a>(&'a self, name: &'a UserName) -> Answer<'a, Option<UserName>> {
        Box::pin(records::lookalike(&self.collections, name))
    }
}

impl ServiceState for MongoStore {
    fn state<'a>(&'a self, owner: &'a UserName) -> Answer<'a, BTreeMap<String, Value>> {
        Box::pin(records::state(&self.collections, owner))
    }

    fn put_state(&self, put: StatePut) -> Answer<'_, ()> {
        Box::pin(records::put_state(&self.collections, put))
    }

    fn all_state(&self, after: Option<(UserName, String)>, limit: usize) -> Answer<'_, Vec<StatePut>> {
        Box::pin(export::all_state(&self.collections, after, limit))
    }
}

impl Store for MongoStore {
    fn append(&self, drafts: Vec<Draft>) -> Answer<'_, Vec<Appended>> {
        Box::pin(async {
            if self.restoring.load(Ordering::Acquire) {
                return Err(StoreError::unavailable("a backup is being restored"));
            }
            self.write(drafts).await
        })
    }

    fn restore(&self, backup: PathBuf) -> Answer<'_, Restored> {
        // The database was empty, so there is no previous content.
        Box::pin(async move { Ok(Restored { totals: self.restore_from(&backup).await?, kept: None }) })
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(records::probe(&self.collections))
    }

    /// The server checks its own files.
    fn verify(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn was_not_closed(&self) -> bool {
        false
    }

    fn durability(&self) -> Durability {
        Durability::Fsync
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async {
            self.stop.cancel();
            // The writer ends when the last sender is dropped, after it has written what is queued.
            drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(writer) = writer
                && writer.await.is_err()
            {
                return Err(StoreError::unavailable("the writer ended badly"));
            }
            if let Some(followed) = &self.followed {
                followed.close().await;
            }
            Ok(())
        })
    }
}
