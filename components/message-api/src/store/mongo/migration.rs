//! Migrates a database of version 1 to version 2 while it is in use.
//!
//! The life of a migration: the new version is recorded, so that no earlier program opens the database any more; the store is opened and
//! serves. Meanwhile one pass drops unused indexes, creates the new one, counts all logs ([`numbering`](super::numbering)) and the messages
//! up to each cursor, and records its completion. No event is written: the counts are stored in [`checkpoints`](super::checkpoints).
//! Requests for what the pass has not reached yet count at once. Every step is idempotent, also with several processes; a process that is
//! killed repeats its current step, which is a part of a few logs.

use std::time::{Duration, Instant};

use bson::{Document, doc};
use kit::backoff::Backoff;
use mongo_client::{CallError, FindOptions};
use protocol::api::CursorMove;
use protocol::{ConversationId, Timestamp, UserName};
use tokio_util::sync::CancellationToken;

use super::collections::{Collections, SCHEMA};
use super::document::damaged;
use super::edges::{MANY, Side, edges};
use super::numbering::{self, Done};
use super::{checkpoints, cursor_moves, export, records};
use crate::store::StoreError;

/// Marks in our collection `schema` that everything is counted.
const NUMBERED: &str = "numbered";
/// Indexes of earlier versions.
const DROPPED: [&str; 2] = ["inbox", "unseen"];
/// The server's codes for an index or a collection that does not exist.
const NOT_THERE: [i32; 2] = [26, 27];
/// The interval of progress reports.
const EVERY: Duration = Duration::from_secs(5);
/// Cursors counted at once.
const CURSORS: i64 = 1000;
const RETRY_BASE: Duration = Duration::from_millis(500);
const RETRY_CAP: Duration = Duration::from_secs(30);

/// Whether the database must be migrated. One without events gets this version at once.
pub(super) async fn is_due(collections: &Collections) -> Result<bool, CallError> {
    let mark = collections.find(&collections.schema, doc! { "_id": NUMBERED }, None).await?;
    if mark.is_empty() {
        let any = FindOptions::new().limit(1).projection(doc! { "_id": 1 });
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

/// Migrates until it is done or stopped.
pub(super) async fn run(collections: Collections, stop: CancellationToken) {
    let mut backoff = Backoff::new(RETRY_BASE, RETRY_CAP);
    while let Some(Err(error)) = stop.run_until_cancelled(pass(&collections)).await {
        let error = kit::failure::chain(&error);
        tracing::warn!(error, "the migration of the database was interrupted; it will go on");
        stop.run_until_cancelled(tokio::time::sleep(backoff.next_delay())).await;
    }
}

async fn pass(collections: &Collections) -> Result<(), StoreError> {
    let total = collections.events.documents().estimated_count().await?;
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

/// Reports the progress.
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
        let page = export::all_conversations(collections, after.as_ref(), MANY).await?;
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

/// Counts the messages up to the cursors of an earlier version.
async fn count_cursors(collections: &Collections) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let filter = doc! { "_id": { "$gt": &after }, "incoming": { "$exists": false } };
        let page = FindOptions::new().sort(doc! { "_id": 1 }).limit(CURSORS);
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
        match collections.events.documents().drop_index(name).await {
            Err(error) if error.code().is_some_and(|code| NOT_THERE.contains(&code)) => {}
            result => result?,
        }
    }
    Ok(())
}

/// `unread` contains everything needed to order unread messages, so that no document is read for it. Creating it takes about a minute for
/// ten million events.
async fn create_index(collections: &Collections) -> Result<(), CallError> {
    let keys = doc! { "conversation": 1, "at": 1, "_id": 1, "sender_key": 1 };
    collections.events.documents().create_large_index("unread", keys).await
}
