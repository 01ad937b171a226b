//! Brings a database of version 1 to version 2, while it is used.
//!
//! The life of a migration: the version is noted, so that no earlier program opens the database any more; the store is opened and serves.
//! Meanwhile one pass over everything drops the indexes that nothing uses any more, makes the new one, counts all logs
//! ([`numbering`](super::numbering)) and for each cursor what had come in up to it, and sets a mark. No event is written: what was
//! counted is noted in [`checkpoints`](super::checkpoints). Whatever is asked before the pass has come to it is counted at once.
//! Every step may be done again, by several processes at once; a process that is killed repeats what it had under way, which is a piece
//! of some logs.

use std::time::{Duration, Instant};

use bson::{Document, doc};
use kit::backoff::Backoff;
use mongodb::IndexModel;
use mongodb::error::ErrorKind;
use mongodb::options::{FindOptions, IndexOptions};
use protocol::api::CursorMove;
use protocol::{ConversationId, Timestamp, UserName};
use tokio_util::sync::CancellationToken;

use super::call::{self, CallError};
use super::collections::{Collections, SCHEMA};
use super::document::damaged;
use super::edges::{MANY, Side, edges};
use super::numbering::{self, Done};
use super::{checkpoints, cursor_moves, records, whole};
use crate::store::StoreError;

/// What says in our own collection `schema` that everything is counted.
const NUMBERED: &str = "numbered";
/// Indexes of earlier versions.
const DROPPED: [&str; 2] = ["inbox", "unseen"];
/// What a server says of an index, or a collection, that is not there.
const NOT_THERE: [i32; 2] = [26, 27];
/// Between two words about how far it is.
const EVERY: Duration = Duration::from_secs(5);
/// Cursors that are counted at once.
const CURSORS: i64 = 1000;
const RETRY_BASE: Duration = Duration::from_millis(500);
const RETRY_CAP: Duration = Duration::from_secs(30);

/// Whether the database has yet to be migrated. One without events is of this version at once.
pub(super) async fn is_due(collections: &Collections) -> Result<bool, CallError> {
    let mark = collections.find(&collections.schema, doc! { "_id": NUMBERED }, None).await?;
    if mark.is_empty() {
        let any = FindOptions::builder().limit(1).projection(doc! { "_id": 1 }).build();
        let events = collections.events.clone_with_type::<Document>();
        if !collections.find(&events, doc! {}, any).await?.is_empty() {
            return Ok(true);
        }
    }
    create_index(collections).await?;
    if mark.is_empty() {
        set_mark(collections).await?;
    }
    Ok(false)
}

/// Migrates until it is done or told to stop.
pub(super) async fn run(collections: Collections, stop: CancellationToken) {
    let mut backoff = Backoff::new(RETRY_BASE, RETRY_CAP);
    while let Some(Err(error)) = stop.run_until_cancelled(pass(&collections)).await {
        let error = kit::failure::chain(&error);
        tracing::warn!(error, "the migration of the database was interrupted; it will go on");
        stop.run_until_cancelled(tokio::time::sleep(backoff.next_delay())).await;
    }
}

async fn pass(collections: &Collections) -> Result<(), StoreError> {
    let events = collections.events.clone();
    let total = call::call(async move { events.estimated_document_count().await }).await?;
    tracing::info!("migrating {total} messages in MongoDB to version {SCHEMA}: making an index");
    drop_indexes(collections).await?;
    create_index(collections).await?;
    let report = Report { total, begun: Instant::now(), done: Done::default() };
    let mut ticks = tokio::time::interval(EVERY);
    ticks.tick().await;
    let mut numbering = Box::pin(number_all(collections, &report.done));
    loop {
        tokio::select! {
            result = &mut numbering => break result?,
            _ = ticks.tick() => report.say(),
        }
    }
    count_cursors(collections).await?;
    set_mark(collections).await?;
    let seconds = report.begun.elapsed().as_secs_f64();
    tracing::info!("migrated {total} messages in MongoDB to version {SCHEMA} in {seconds:.1} s");
    Ok(())
}

/// How far it is.
struct Report {
    total: u64,
    begun: Instant,
    done: Done,
}

impl Report {
    fn say(&self) {
        let (total, done, passed) = (self.total, self.done.count().max(1), self.begun.elapsed());
        let percent = (done * 100 / total.max(1)).min(99);
        let rate = u128::from(done) * 1000 / passed.as_millis().max(1);
        let left = u128::from(total.saturating_sub(done)) / rate.max(1) + 1;
        tracing::info!(
            "migrating {total} messages in MongoDB to version {SCHEMA}: {percent} %, {rate} messages/s, {left} s left"
        );
    }
}

async fn number_all(collections: &Collections, done: &Done) -> Result<(), StoreError> {
    let mut after: Option<ConversationId> = None;
    loop {
        let page = whole::all_conversations(collections, after.as_ref(), MANY).await?;
        let mut logs = Vec::new();
        for (id, head) in edges(collections, &page, Side::Newest).await? {
            match head.counted {
                Some(counted) => done.add(counted.ordinal),
                None => logs.push((id, head.seq)),
            }
        }
        let there = checkpoints::at(collections, logs.iter().map(|(id, head)| (id, *head))).await?;
        logs.retain(|(id, head)| match there.get(&checkpoints::key(id, *head)) {
            Some(checkpoint) if checkpoint.last >= *head => {
                done.add(checkpoint.counted.ordinal);
                false
            }
            Some(_) | None => true,
        });
        numbering::number(collections, logs, done).await?;
        let Some(last) = page.into_iter().next_back() else { return Ok(()) };
        after = Some(last);
    }
}

/// Counts what had come in up to the cursors of an earlier version.
async fn count_cursors(collections: &Collections) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let filter = doc! { "_id": { "$gt": &after }, "incoming": { "$exists": false } };
        let page = FindOptions::builder().sort(doc! { "_id": 1 }).limit(CURSORS).build();
        let found = collections.find(&collections.cursors, filter, page).await?;
        let Some(last) = found.last() else { return Ok(()) };
        last.get_str("_id").map_err(damaged)?.clone_into(&mut after);
        let cursors = found.iter().filter_map(|found| records::ours("cursors", found, cursor(found)));
        cursor_moves::count(collections, &cursors.collect::<Vec<_>>()).await?;
    }
}

fn cursor(document: &Document) -> Result<CursorMove, StoreError> {
    let text = |field| document.get_str(field).map_err(damaged);
    Ok(CursorMove {
        user: UserName::stored(text("user")?).map_err(damaged)?,
        device: None,
        conversation: ConversationId::parse(text("conversation")?).map_err(damaged)?,
        seq: u64::try_from(document.get_i64("seen").map_err(damaged)?).map_err(damaged)?,
    })
}

async fn set_mark(collections: &Collections) -> Result<(), CallError> {
    let now = doc! { "$set": { "at": Timestamp::now().micros() } };
    records::upsert(collections, &collections.schema, NUMBERED.to_owned(), now).await.map(drop)
}

async fn drop_indexes(collections: &Collections) -> Result<(), CallError> {
    for name in DROPPED {
        let events = collections.events.clone();
        match call::call(async move { events.drop_index(name).await }).await {
            Err(CallError::Driver(error)) if is_not_there(&error) => {}
            result => result?,
        }
    }
    Ok(())
}

fn is_not_there(error: &mongodb::error::Error) -> bool {
    matches!(&*error.kind, ErrorKind::Command(command) if NOT_THERE.contains(&command.code))
}

/// `unread` holds all that is needed to put what is unread in order, so that no document is read for it. Making it takes as long as it
/// takes, about a minute for ten million events.
async fn create_index(collections: &Collections) -> Result<(), CallError> {
    let options = IndexOptions::builder().name("unread".to_owned()).build();
    let keys = doc! { "conversation": 1, "at": 1, "_id": 1, "sender_key": 1 };
    let (index, events) =
        (IndexModel::builder().keys(keys).options(options).build(), collections.events.clone());
    // A task of its own, which ends by itself: see `call`.
    match tokio::spawn(async move { events.create_index(index).await }).await {
        Ok(created) => created.map(drop).map_err(CallError::from),
        Err(_) => Err(CallError::Timeout),
    }
}
