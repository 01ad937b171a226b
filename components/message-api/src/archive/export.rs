//! Writes a store as the lines of a backup.

use bytes::Bytes;
use protocol::limits::PAGE_USERS;
use protocol::{ConversationId, Timestamp};
use tokio::sync::mpsc;

use super::checksum::{Checksum, LogHash};
use super::record::{Record, VERSION};
use crate::store::{Range, Store, StoreError};

/// Conversations, or values of services, read at once.
const PAGE: usize = 500;
/// Events read at once; they are in memory twice.
const EVENTS: usize = 1000;
/// Lines are passed on in chunks of this many bytes.
const CHUNK: usize = 64 * 1024;

/// A backup was not completed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The reader disconnected.
    #[error("whoever wanted it is gone")]
    Disconnected,
}

/// Writes a backup into a channel, which bounds the memory. After an error the last line is missing.
///
/// # Errors
/// See [`ExportError`].
pub async fn export(store: &dyn Store, chunks: mpsc::Sender<Bytes>) -> Result<(), ExportError> {
    let mut out = Out { checksum: Checksum::default(), waiting: Vec::new(), chunks };
    out.write(&Record::Backup { version: VERSION, at: Timestamp::now() }).await?;
    let mut after = 0;
    loop {
        let page = store.users(after, PAGE_USERS).await?;
        for user in page.users {
            out.write(&Record::User(user)).await?;
        }
        if !page.more {
            break;
        }
        after = page.last;
    }
    states(store, &mut out).await?;
    let mut after: Option<ConversationId> = None;
    loop {
        let page = store.all_conversations(after.as_ref(), PAGE).await?;
        for conversation in &page {
            log(store, conversation, &mut out).await?;
        }
        match page.into_iter().next_back() {
            Some(last) => after = Some(last),
            None => return out.end().await,
        }
    }
}

async fn states(store: &dyn Store, out: &mut Out) -> Result<(), ExportError> {
    let mut after = None;
    loop {
        let page = store.all_state(after.take(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.owner.clone(), last.key.clone()));
        for put in page {
            let value = put.value.unwrap_or_default();
            let value = serde_json::from_str(&value)
                .map_err(|error| StoreError::because("what a service keeps is damaged", error))?;
            out.write(&Record::State { owner: put.owner, key: put.key, value }).await?;
        }
    }
}

/// Cursors are read first, so that none is beyond the events that are read after it.
async fn log(store: &dyn Store, id: &ConversationId, out: &mut Out) -> Result<(), ExportError> {
    let cursors = store.cursors(id).await?;
    out.write(&Record::Conversation { id: id.clone(), cursors }).await?;
    let (mut hash, mut after) = (LogHash::default(), 0);
    loop {
        let page = store.events(id, Range::After(after), EVENTS).await?;
        for event in page.events {
            hash.add(&event);
            after = event.seq;
            out.write(&Record::Event(Box::new(event))).await?;
        }
        if !page.more {
            break;
        }
    }
    let (events, sha256) = hash.finish();
    out.write(&Record::Log { events, sha256 }).await
}

struct Out {
    checksum: Checksum,
    waiting: Vec<u8>,
    chunks: mpsc::Sender<Bytes>,
}

impl Out {
    async fn write(&mut self, record: &Record) -> Result<(), ExportError> {
        self.waiting.extend(self.checksum.line(record));
        if self.waiting.len() >= CHUNK { self.pass_on().await } else { Ok(()) }
    }

    async fn end(mut self) -> Result<(), ExportError> {
        let end = std::mem::take(&mut self.checksum).end();
        self.write(&end).await?;
        self.pass_on().await
    }

    async fn pass_on(&mut self) -> Result<(), ExportError> {
        let chunk = std::mem::take(&mut self.waiting);
        self.chunks.send(chunk.into()).await.map_err(|_| ExportError::Disconnected)
    }
}
