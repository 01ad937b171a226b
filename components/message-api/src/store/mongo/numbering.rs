//! Counts the logs of an earlier version, whose events have no numbers, and returns what these would be ([`Counted`]).
//!
//! The server counts a log, and returns the number of each user's events per span. The counts are stored in [`checkpoints`], those of the
//! log's beginning always first. So if the last span of a log has its checkpoint, the whole log is counted; other processes may count the
//! same log, and an interrupted count continues after the last checkpoint. Two rules ensure that: nothing is appended to a log, and its
//! beginning is not deleted, before all of it is counted ([`heads`](super::heads)).
//!
//! The sums of at most [`PIECE`] `seq`s of a few logs are in memory at a time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use bson::{Document, doc};
use futures_util::{StreamExt, TryStreamExt, stream};
use protocol::ConversationId;

use super::checkpoints::{self, Checkpoint, SPAN};
use super::collections::Collections;
use super::counted::Counted;
use super::document::damaged;
use super::edges::{Side, edges};
use crate::store::StoreError;

/// The number of `seq`s counted with one command; whole spans. It takes the server less than 0.1 s.
const PIECE: i64 = 256 * SPAN;
/// Logs up to this length are counted together.
const SHORT: i64 = PIECE / 4;
/// Concurrent commands.
const PARALLEL: usize = 4;
/// Events per request: up to a span is counted for each.
const ASKED: usize = 256;

/// A log, and the `seq` of its last event.
pub(super) type Head = (ConversationId, i64);

/// The number of counted events.
#[derive(Debug, Default)]
pub(super) struct Done(AtomicU64);

impl Done {
    pub(super) fn add(&self, count: i64) {
        self.0.fetch_add(count.unsigned_abs(), Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts these logs up to these `seq`s.
pub(super) async fn number(
    collections: &Collections,
    mut logs: Vec<Head>,
    done: &Done,
) -> Result<(), StoreError> {
    logs.sort_unstable();
    let (short, long): (Vec<Head>, Vec<Head>) = logs.into_iter().partition(|(_, head)| *head < SHORT);
    let short = batches(short).into_iter().map(|batch| count_short(collections, batch, done));
    let begun: Vec<Head> = stream::iter(short).buffer_unordered(PARALLEL).try_concat().await?;
    let walks = long.into_iter().chain(begun).map(|log| walk(collections, log, done));
    stream::iter(walks).buffer_unordered(PARALLEL).try_collect().await
}

/// Groups logs that are counted with one command.
fn batches(logs: Vec<Head>) -> Vec<Vec<Head>> {
    let (mut batches, mut batch, mut places) = (Vec::new(), Vec::new(), 0);
    for log in logs {
        if places + log.1 > PIECE {
            batches.push(std::mem::take(&mut batch));
            places = 0;
        }
        places += log.1;
        batch.push(log);
    }
    batches.push(batch);
    batches
}

/// Counts logs from their beginning. Returns those that other processes have begun to count.
async fn count_short(
    collections: &Collections,
    mut logs: Vec<Head>,
    done: &Done,
) -> Result<Vec<Head>, StoreError> {
    if logs.is_empty() {
        return Ok(logs);
    }
    let ids: Vec<&str> = logs.iter().map(|(id, _)| id.as_str()).collect();
    let sums = Sums::read(collections, doc! { "conversation": { "$in": ids } }).await?;
    let firsts = logs.iter().filter_map(|(id, _)| Some((id, *sums.of(id)?.first_key_value()?.0)));
    let there = checkpoints::at(collections, firsts).await?;
    let is_fresh = |id: &ConversationId, spans: &BTreeMap<i64, Span>| {
        let first = spans.first_key_value().map(|(start, _)| checkpoints::key(id, *start));
        first.is_some_and(|first| !there.contains_key(&first)) && !spans.values().any(|span| span.is_numbered)
    };
    let mut fresh = Vec::new();
    for (id, _) in &logs {
        if let Some(spans) = sums.of(id).filter(|spans| is_fresh(id, spans)) {
            let mut counted = Counted::default();
            for span in spans.values() {
                counted = span.added_to(counted, id);
                fresh.push((id, Checkpoint { last: span.last, counted }));
            }
            done.add(counted.ordinal);
        }
    }
    checkpoints::insert(collections, &fresh).await?;
    logs.retain(|(id, _)| sums.of(id).is_some_and(|spans| !is_fresh(id, spans)));
    Ok(logs)
}

/// Counts a log in pieces, after its last checkpoint.
async fn walk(collections: &Collections, (id, head): Head, done: &Done) -> Result<(), StoreError> {
    let (mut from, mut counted) = match checkpoints::newest(collections, &id).await? {
        Some(newest) => (newest.last + 1, newest.counted),
        None => beginning(collections, &id).await?,
    };
    done.add(counted.ordinal);
    while from <= head {
        let to = from - from % SPAN + PIECE;
        let piece = doc! { "conversation": id.as_str(), "seq": { "$gte": from, "$lt": to } };
        let sums = Sums::read(collections, piece).await?;
        let before = counted.ordinal;
        let mut raised = Vec::new();
        for span in sums.of(&id).into_iter().flat_map(BTreeMap::values) {
            counted = span.added_to(counted, &id);
            raised.push(Checkpoint { last: span.last, counted });
        }
        checkpoints::raise(collections, &id, &raised).await?;
        done.add(counted.ordinal - before);
        from = to;
    }
    Ok(())
}

/// The first `seq` of a log that is not counted, and the counts before it.
async fn beginning(collections: &Collections, id: &ConversationId) -> Result<(i64, Counted), StoreError> {
    let first = edges(collections, std::slice::from_ref(id), Side::Oldest).await?.remove(id);
    Ok(match first.map(|first| (first.seq, first.counted)) {
        Some((seq, Some(counted))) => (seq + 1, counted),
        Some((seq, None)) => (seq, Counted::default()),
        None => (0, Counted::default()),
    })
}

/// The counts up to events without numbers of their own. All these events must exist.
pub(super) async fn counted_at(
    collections: &Collections,
    places: &[(ConversationId, i64)],
) -> Result<Vec<Counted>, StoreError> {
    let mut counts = Vec::with_capacity(places.len());
    for some in places.chunks(ASKED) {
        counts.extend(counted_at_some(collections, some).await?);
    }
    Ok(counts)
}

async fn counted_at_some(
    collections: &Collections,
    places: &[(ConversationId, i64)],
) -> Result<Vec<Counted>, StoreError> {
    let checkpoints = checkpoints_of(collections, places).await?;
    let mut counts: Vec<Counted> = checkpoints.iter().map(|checkpoint| checkpoint.counted).collect();
    let mut open: Vec<usize> = (0..places.len()).filter(|n| places[*n].1 < checkpoints[*n].last).collect();
    while !open.is_empty() {
        // The server distinguishes conversations, not `seq`s.
        let mut once = HashSet::new();
        let (now, later): (Vec<usize>, Vec<usize>) =
            open.into_iter().partition(|n| once.insert(&places[*n].0));
        let behind = now.iter().map(|n| {
            let ((id, seq), last) = (&places[*n], checkpoints[*n].last);
            doc! { "conversation": id.as_str(), "seq": { "$gt": *seq, "$lte": last } }
        });
        let sums = Sums::read(collections, doc! { "$or": behind.collect::<Vec<_>>() }).await?;
        for n in now {
            let id = &places[n].0;
            for span in sums.of(id).into_iter().flat_map(BTreeMap::values) {
                counts[n] = span.taken_from(counts[n], id);
            }
        }
        open = later;
    }
    Ok(counts)
}

/// The checkpoints after these `seq`s; logs that are not counted yet are counted.
async fn checkpoints_of(
    collections: &Collections,
    places: &[(ConversationId, i64)],
) -> Result<Vec<Checkpoint>, StoreError> {
    let there = async || checkpoints::at(collections, places.iter().map(|(id, seq)| (id, *seq))).await;
    let of = |there: &HashMap<String, Checkpoint>, (id, seq): &(ConversationId, i64)| {
        there.get(&checkpoints::key(id, *seq)).copied().filter(|checkpoint| checkpoint.last >= *seq)
    };
    let mut found = there().await?;
    let missing = places.iter().filter(|place| of(&found, place).is_none());
    let missing: HashSet<ConversationId> = missing.map(|(id, _)| id.clone()).collect();
    if !missing.is_empty() {
        let heads = edges(collections, &missing.into_iter().collect::<Vec<_>>(), Side::Newest).await?;
        let logs = heads.into_iter().map(|(id, head)| (id, head.seq)).collect();
        number(collections, logs, &Done::default()).await?;
        found = there().await?;
    }
    let all = places.iter().map(|place| of(&found, place)).collect::<Option<Vec<_>>>();
    all.ok_or_else(|| StoreError::unavailable("a conversation changes while it is migrated; try again"))
}

/// The number of each user's events in each span of some logs.
#[derive(Debug, Default)]
struct Sums(HashMap<String, BTreeMap<i64, Span>>);

#[derive(Debug, Default)]
struct Span {
    /// The `seq` of the last event.
    last: i64,
    said: Vec<(String, i64)>,
    /// Whether this version stored some of them.
    is_numbered: bool,
}

impl Sums {
    async fn read(collections: &Collections, filter: Document) -> Result<Self, StoreError> {
        let start = doc! { "$subtract": ["$seq", { "$mod": ["$seq", SPAN] }] };
        let pipeline = vec![
            doc! { "$match": filter },
            doc! { "$group": {
                "_id": { "conversation": "$conversation", "start": start, "sender": "$sender_key" },
                "count": { "$sum": 1_i64 }, "last": { "$max": "$seq" }, "ordinal": { "$max": "$ordinal" },
            } },
        ];
        let mut sums = Self::default();
        for found in collections.aggregate(&collections.events, pipeline).await? {
            let of = found.get_document("_id").map_err(damaged)?;
            let log = sums.0.entry(of.get_str("conversation").map_err(damaged)?.to_owned()).or_default();
            let span = log.entry(of.get_i64("start").map_err(damaged)?).or_default();
            span.last = span.last.max(found.get_i64("last").map_err(damaged)?);
            let sender = of.get_str("sender").map_err(damaged)?.to_owned();
            span.said.push((sender, found.get_i64("count").map_err(damaged)?));
            span.is_numbered |= found.get_i64("ordinal").is_ok();
        }
        Ok(sums)
    }

    fn of(&self, conversation: &ConversationId) -> Option<&BTreeMap<i64, Span>> {
        self.0.get(conversation.as_str())
    }
}

impl Span {
    fn added_to(&self, counted: Counted, id: &ConversationId) -> Counted {
        self.said.iter().fold(counted, |counted, (sender, count)| counted.with(id, sender, *count))
    }

    fn taken_from(&self, counted: Counted, id: &ConversationId) -> Counted {
        self.said.iter().fold(counted, |counted, (sender, count)| counted.with(id, sender, -count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::name;

    #[test]
    fn no_batch_is_larger_than_a_piece() {
        let log = |n: i64| {
            (ConversationId::dm(&name("alice"), &name(&format!("friend{n}"))), n * 7 % SHORT.min(1000) + 1)
        };
        let logs: Vec<Head> = (0..5000).map(log).collect();
        let batches = batches(logs.clone());
        let places = |batch: &Vec<Head>| batch.iter().map(|(_, head)| head).sum::<i64>();
        assert!(batches.iter().all(|batch| places(batch) <= PIECE) && batches.len() > 3);
        let total: i64 = batches.iter().map(places).sum();
        assert!(
            i64::try_from(batches.len()).unwrap() <= total / (PIECE - 1000) + 1,
            "nor smaller than need be"
        );
        assert_eq!(batches.concat(), logs);
    }
}
