//! The store in MongoDB, for those who run one, and for several machines: a standalone server or a replica set, from 4.4 on.
//!
//! [`connect`] finds the server and says what is wrong where it cannot, [`writer`] appends, [`query`] reads, [`records`] moves
//! cursors and keeps users and state, [`document`] is how an event stands in a document, [`call`] bounds every wait.
//!
//! Several processes may write to one database: the unique index on `(conversation, seq)` is the fence between them. A process
//! publishes only what it stored itself.

mod call;
mod connect;
mod document;
mod query;
mod records;
mod writer;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::api::{Appended, CursorMove, EventPage, RegisterUser, User};
use protocol::native::{ConversationSummary, Durability};
use protocol::{ConversationId, Draft, UserName};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::store::{Answer, Committed, Range, StatePut, Store, StoreError, Unseen};
use connect::Collections;
use writer::{Batch, QUEUE, Writer};

pub use connect::{MongoOpenError, greet};

/// A store in a MongoDB database. Every write is acknowledged by a majority and journalled, whatever durability was asked for:
/// less would lose acknowledged messages when a server process dies.
///
/// Bound: 256 batches wait for the writer. Overflow: further callers wait for a place.
#[derive(Debug)]
pub struct MongoStore {
    collections: Collections,
    /// `None` once closed.
    queue: Mutex<Option<mpsc::Sender<Batch>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl MongoStore {
    /// Finds the server, prepares the database and starts the writer.
    ///
    /// # Errors
    /// When the URL is none, the server is not there or does not let us in, or a newer program made the database.
    pub async fn open(url: &str, committed: Arc<dyn Committed>) -> Result<Self, MongoOpenError> {
        let collections = connect::open(url).await?;
        let (queue, batches) = mpsc::channel(QUEUE);
        let writer = tokio::spawn(Writer::new(collections.clone(), committed).run(batches));
        Ok(Self { collections, queue: Mutex::new(Some(queue)), writer: Mutex::new(Some(writer)) })
    }
}

impl Store for MongoStore {
    fn append(&self, drafts: Vec<Draft>) -> Answer<'_, Vec<Appended>> {
        Box::pin(async {
            let closed = || StoreError::unavailable("the store is closed");
            let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let (reply, answer) = oneshot::channel();
            queue.ok_or_else(closed)?.send(Batch { drafts, reply }).await.map_err(|_| closed())?;
            answer.await.map_err(|_| closed())?
        })
    }

    fn unseen<'a>(&'a self, user: &'a UserName, after: Option<&'a str>, limit: usize) -> Answer<'a, Unseen> {
        Box::pin(query::unseen(&self.collections, user, after, limit))
    }

    fn conversations<'a>(&'a self, user: &'a UserName, limit: usize) -> Answer<'a, Vec<ConversationSummary>> {
        Box::pin(query::conversations(&self.collections, user, limit))
    }

    fn events<'a>(
        &'a self,
        conversation: &'a ConversationId,
        range: Range,
        limit: usize,
    ) -> Answer<'a, EventPage> {
        Box::pin(query::events(&self.collections, conversation, range, limit))
    }

    fn move_cursors(&self, moves: Vec<CursorMove>) -> Answer<'_, ()> {
        Box::pin(records::move_cursors(&self.collections, moves))
    }

    fn register(&self, user: RegisterUser) -> Answer<'_, ()> {
        Box::pin(records::register(&self.collections, user))
    }

    fn users(&self) -> Answer<'_, Vec<User>> {
        Box::pin(records::users(&self.collections))
    }

    fn known(&self, names: Vec<UserName>) -> Answer<'_, Vec<UserName>> {
        Box::pin(records::known(&self.collections, names))
    }

    fn state<'a>(&'a self, owner: &'a UserName) -> Answer<'a, BTreeMap<String, Value>> {
        Box::pin(records::state(&self.collections, owner))
    }

    fn put_state(&self, put: StatePut) -> Answer<'_, ()> {
        Box::pin(records::put_state(&self.collections, put))
    }

    fn durability(&self) -> Durability {
        Durability::Fsync
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async {
            // The writer ends when the last sender is gone, after it has written what is queued.
            drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(writer) = writer
                && writer.await.is_err()
            {
                return Err(StoreError::unavailable("the writer ended badly"));
            }
            Ok(())
        })
    }
}
