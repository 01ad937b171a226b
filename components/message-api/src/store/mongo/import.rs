//! Imports another store's content with the same `seq`s.
//!
//! Everything here is idempotent: what exists already is left as it is. Imported events are not published: the change stream skips them.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use bson::doc;
use mongo_client::FindOptions;
use protocol::api::{BackupTotals, CursorMove, User};
use protocol::{ConversationId, Event, Timestamp};
use tokio::sync::mpsc;

use super::collections::Collections;
use super::cursor_moves;
use super::document::EventDocument;
use super::heads::heads;
use super::{export, records};
use crate::archive::{self, Archive, ArchiveError, Record};
use crate::store::{StatePut, StoreError};

/// Events per insert.
const INSERT: usize = 500;
/// Records that are read ahead.
const AHEAD: usize = 1000;
/// Attempts per insert; enough for an election of a replica set.
const ATTEMPTS: u32 = 12;
const PAUSE: Duration = Duration::from_millis(250);
/// Marks a database whose restore is not complete.
pub(super) const RESTORING: &str = "restoring";

/// Imports another store's content.
#[derive(Debug, Clone)]
pub(crate) struct Importer(pub(super) Collections);

impl Importer {
    /// Creates a conversation's entry, by which its members find it. Numbers up to `floor` were assigned once.
    pub(crate) async fn conversation(&self, id: &ConversationId, floor: u64) -> Result<(), StoreError> {
        let mut update = doc! { "$setOnInsert": { "members": id.dm_members().collect::<Vec<_>>() } };
        if floor > 0 {
            let floor = i64::try_from(floor).expect("no log has so many events");
            update.insert("$max", doc! { "floor": floor });
        }
        records::upsert(&self.0, &self.0.conversations, id.as_str().to_owned(), update).await?;
        Ok(())
    }

    /// Appends events of one conversation, in order.
    ///
    /// # Errors
    /// If another event has one of their `seq`s.
    pub(crate) async fn events(&self, events: &[Event]) -> Result<(), StoreError> {
        let Some(first) = events.first() else { return Ok(()) };
        let heads = heads(&self.0, std::iter::once(&first.conversation)).await?;
        let mut last = heads.get(&first.conversation).copied().unwrap_or_default();
        let (there, new) = events.split_at(events.partition_point(|event| event.seq <= last.seq));
        self.must_be_there(there).await?;
        let now = Timestamp::now().micros();
        let mut placed = |event: &Event| {
            // A time in the future counts as now, because it would otherwise delay everything after it.
            last.order = event.at.micros().min(now).max(last.order + 1);
            last.counted = last.counted.followed_by(&event.conversation, event.sender.key());
            EventDocument::imported(event, last.order, last.counted)
        };
        for part in new.chunks(INSERT) {
            self.insert(part.iter().map(&mut placed).collect()).await?;
        }
        Ok(())
    }

    /// Events before the end of a log are not inserted: later events would have wrong counts.
    async fn must_be_there(&self, events: &[Event]) -> Result<(), StoreError> {
        for part in events.chunks(INSERT) {
            let ids: Vec<_> =
                part.iter().map(|event| bson::Uuid::from_bytes(event.id.into_bytes())).collect();
            let there = self.which_are_there(ids.clone()).await?;
            if let Some((event, _)) = part.iter().zip(ids).find(|(_, id)| !there.contains(id)) {
                return Err(holds_something_else(event.conversation.as_str(), event.seq));
            }
        }
        Ok(())
    }

    async fn insert(&self, mut documents: Vec<EventDocument>) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let result = self.0.insert(&self.0.events, documents.clone(), true).await;
            let Err(error) = result else { return Ok(()) };
            let before = documents.len();
            let ids = documents.iter().map(|document| document.id).collect();
            let there = self.which_are_there(ids).await?;
            documents.retain(|document| !there.contains(&document.id));
            if documents.is_empty() {
                return Ok(());
            }
            if documents.len() == before && error.is_duplicate_key() {
                return Err(holds_something_else(&documents[0].conversation, documents[0].seq));
            }
            tracing::debug!(error = kit::failure::chain(&error), "an insert will be tried again");
            tokio::time::sleep(PAUSE).await;
        }
        Err(StoreError::unavailable("MongoDB did not confirm the messages in time"))
    }

    async fn which_are_there(&self, ids: Vec<bson::Uuid>) -> Result<HashSet<bson::Uuid>, StoreError> {
        let found = self.0.find(&self.0.events, doc! { "_id": { "$in": ids } }, None).await?;
        Ok(found.into_iter().map(|document| document.id).collect())
    }

    /// Moves cursors.
    pub(crate) async fn cursors(&self, moves: Vec<CursorMove>) -> Result<(), StoreError> {
        cursor_moves::move_cursors(&self.0, moves).await
    }

    /// Registers a user as in the other store.
    pub(crate) async fn user(&self, user: &User) -> Result<(), StoreError> {
        records::import_user(&self.0, user).await
    }

    /// Stores a value of a service.
    pub(crate) async fn state(&self, put: StatePut) -> Result<(), StoreError> {
        records::put_state(&self.0, put).await
    }
}

fn holds_something_else(conversation: &str, seq: impl std::fmt::Display) -> StoreError {
    StoreError::refused("to", format!("{conversation} holds something else at {seq}"))
}

/// Fills a database without messages with the content of a backup.
pub(super) async fn restore(collections: &Collections, backup: &Path) -> Result<BackupTotals, StoreError> {
    let refuse = |error: &ArchiveError| {
        StoreError::refused("file", format!("'{}': {}", backup.display(), kit::failure::chain(error)))
    };
    let path = backup.to_owned();
    let verified = tokio::task::spawn_blocking(move || archive::verify(&path)).await;
    verified.map_err(|_| StoreError::unavailable("the restore ended badly"))?.map_err(|e| refuse(&e))?;
    let any = FindOptions::new().limit(1);
    if !collections.find(&collections.events, doc! {}, any).await?.is_empty() {
        let detail = "there are messages in this database; name a new one in store.url and restore into that";
        return Err(StoreError::refused("store", detail));
    }
    mark(collections, true).await?;
    let (records, mut reading) = mpsc::channel(AHEAD);
    let path = backup.to_owned();
    let reader = tokio::task::spawn_blocking(move || read(&path, &records));
    let totals = import(&Importer(collections.clone()), &mut reading).await?;
    drop(reading);
    reader.await.map_err(|_| StoreError::unavailable("the restore ended badly"))?.map_err(|e| refuse(&e))?;
    export::rename_log(collections).await?;
    mark(collections, false).await?;
    Ok(totals)
}

/// Ends early if the receiver was dropped.
fn read(path: &Path, records: &mpsc::Sender<Record>) -> Result<(), ArchiveError> {
    let mut archive = Archive::open(path)?;
    while let Some(record) = archive.next_record()? {
        if records.blocking_send(record).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn import(
    importer: &Importer,
    records: &mut mpsc::Receiver<Record>,
) -> Result<BackupTotals, StoreError> {
    let (mut totals, mut cursors, mut events) = (BackupTotals::default(), Vec::new(), Vec::new());
    while let Some(record) = records.recv().await {
        match record {
            Record::Backup { .. } => {}
            Record::User(user) => importer.user(&user).await?,
            Record::State { owner, key, value } => {
                importer.state(StatePut::new(owner, &key, Some(&value))?).await?;
            }
            Record::Conversation { id, cursors: its } => {
                importer.conversation(&id, 0).await?;
                cursors = its;
            }
            Record::Event(event) => events.push(*event),
            Record::Log { .. } => {
                importer.events(&std::mem::take(&mut events)).await?;
                importer.cursors(std::mem::take(&mut cursors)).await?;
            }
            Record::End { totals: all, .. } => totals = all,
        }
        if events.len() >= INSERT {
            importer.events(&std::mem::take(&mut events)).await?;
        }
    }
    Ok(totals)
}

async fn mark(collections: &Collections, restoring: bool) -> Result<(), StoreError> {
    if restoring {
        let set = doc! { "$set": { "since": Timestamp::now().micros() } };
        records::upsert(collections, &collections.schema, RESTORING.to_owned(), set).await?;
    } else {
        collections.delete(&collections.schema, doc! { "_id": RESTORING }).await?;
    }
    Ok(())
}
