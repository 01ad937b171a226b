//! Gives the events of an earlier version the numbers that unread messages are counted with ([`Counted`]).
//!
//! The numbers follow from the log alone, and every process gives them in the order of the log, each command in order: so those that have
//! them are always the beginning of a log, it does not matter who else numbers the same one, and a numbering that was cut off goes on
//! where it was, found by halving. Two rules keep it so: nothing is appended with numbers behind an event that has none
//! ([`heads`](super::heads)), and the beginning of a log is not removed before all of it is numbered.
//!
//! In memory is a page of each of a few conversations' logs at a time.

use std::sync::atomic::{AtomicU64, Ordering};

use bson::{Document, doc};
use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::options::FindOptions;
use protocol::ConversationId;
use serde::Deserialize;

use super::collections::Collections;
use super::counted::Counted;
use super::document::damaged;
use super::edges::{Edge, Side, edges};
use crate::store::StoreError;

/// Events that are read, and numbered with one command.
const PAGE: i64 = 2000;
/// Logs that are numbered at the same time.
const PARALLEL: usize = 4;

/// How many events were numbered.
#[derive(Debug, Default)]
pub(super) struct Done(AtomicU64);

impl Done {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is needed of an event.
#[derive(Debug, Deserialize)]
struct Row {
    #[serde(rename = "_id")]
    id: bson::Uuid,
    conversation: String,
    seq: i64,
    sender_key: String,
    ordinal: Option<i64>,
    sent: Option<i64>,
}

/// Numbers all that these logs hold.
pub(super) async fn number(
    collections: &Collections,
    mut conversations: Vec<ConversationId>,
    done: &Done,
) -> Result<(), StoreError> {
    conversations.sort_unstable();
    let firsts = edges(collections, &conversations, Side::Oldest).await?;
    let has_begun = |id: &ConversationId| firsts.get(id).is_some_and(|first| first.counted.is_some());
    let (begun, fresh): (Vec<_>, Vec<_>) = conversations.into_iter().partition(has_begun);
    let lasts = edges(collections, &begun, Side::Newest).await?;
    let mut walks = Vec::new();
    for id in begun {
        if let (Some(first), Some(last)) = (firsts.get(&id), lasts.get(&id)) {
            walks.push(Walk::resume(collections, id, first, last).await?);
        }
    }
    walks.extend(fresh.chunks(fresh.len().div_ceil(PARALLEL).max(1)).map(Walk::over));
    let walks = walks.into_iter().map(|walk| walk.run(collections, done));
    stream::iter(walks).buffer_unordered(PARALLEL).try_collect().await
}

/// One pass over some logs, each from its beginning, the last log first: `log` backwards.
#[derive(Debug)]
struct Walk {
    /// Those that are not begun, in order.
    left: Vec<String>,
    /// The log it is in, and the last event of it that was read.
    current: Option<(ConversationId, i64)>,
    /// Up to that event.
    counted: Counted,
}

impl Walk {
    fn over(conversations: &[ConversationId]) -> Self {
        let left = conversations.iter().map(|id| id.as_str().to_owned()).collect();
        Self { left, current: None, counted: Counted::default() }
    }

    /// Behind the last event of a log that has its numbers.
    async fn resume(
        collections: &Collections,
        id: ConversationId,
        first: &Edge,
        last: &Edge,
    ) -> Result<Self, StoreError> {
        let (mut low, mut high) = (first.seq, last.seq);
        let mut counted = first.counted.unwrap_or_default();
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let between = doc! { "conversation": id.as_str(), "seq": { "$gt": low, "$lte": middle } };
            match rows(collections, between, -1, 1).await?.pop() {
                Some(row) if row.ordinal.is_none() => high = row.seq,
                Some(row) => {
                    counted = row.counted(&id).unwrap_or(counted);
                    low = middle;
                }
                None => low = middle,
            }
        }
        Ok(Self { left: Vec::new(), current: Some((id, low)), counted })
    }

    async fn run(mut self, collections: &Collections, done: &Done) -> Result<(), StoreError> {
        let events = collections.events.clone_with_type::<Document>();
        let mut rows = self.read(collections).await?;
        while !rows.is_empty() {
            let updates = self.step(&rows)?;
            let count = updates.len() as u64;
            let write = async {
                if updates.is_empty() { Ok(()) } else { collections.update_in_order(&events, updates).await }
            };
            ((), rows) = tokio::try_join!(write, self.read(collections))?;
            done.add(count);
        }
        Ok(())
    }

    /// The next page of the log it is in, or else of the following ones.
    async fn read(&mut self, collections: &Collections) -> Result<Vec<Row>, StoreError> {
        if let Some((id, seq)) = &self.current {
            let rest = doc! { "conversation": id.as_str(), "seq": { "$gt": seq } };
            let found = rows(collections, rest, 1, PAGE).await?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        if self.left.is_empty() {
            return Ok(Vec::new());
        }
        rows(collections, doc! { "conversation": { "$in": &self.left } }, 1, PAGE).await
    }

    /// What is to be written of a page. An event that somebody numbered meanwhile is believed.
    fn step(&mut self, rows: &[Row]) -> Result<Vec<Document>, StoreError> {
        let mut updates = Vec::with_capacity(rows.len());
        for row in rows {
            let id = match self.current.take() {
                Some((id, _)) if id.as_str() == row.conversation => id,
                Some(_) | None => {
                    self.counted = Counted::default();
                    self.left.truncate(self.left.partition_point(|left| *left < row.conversation));
                    ConversationId::parse(&row.conversation).map_err(damaged)?
                }
            };
            if let Some(counted) = row.counted(&id) {
                self.counted = counted;
            } else {
                self.counted = self.counted.followed_by(&id, &row.sender_key);
                let sent = self.counted.sent_by(&id, &row.sender_key);
                updates.push(doc! { "q": { "_id": row.id }, "u": {
                    "$set": { "ordinal": self.counted.ordinal, "sent": sent },
                    "$unset": { "destination": "", "destination_key": "" },
                } });
            }
            self.current = Some((id, row.seq));
        }
        Ok(updates)
    }
}

impl Row {
    fn counted(&self, id: &ConversationId) -> Option<Counted> {
        Some(Counted::read(id, &self.sender_key, self.ordinal?, self.sent?))
    }
}

/// Some events, in order of `seq` or backwards.
async fn rows(
    collections: &Collections,
    filter: Document,
    order: i32,
    most: i64,
) -> Result<Vec<Row>, StoreError> {
    let fields = doc! { "conversation": 1, "seq": 1, "sender_key": 1, "ordinal": 1, "sent": 1 };
    let sort = doc! { "conversation": -order, "seq": order };
    let page = FindOptions::builder().sort(sort).limit(most).projection(fields).build();
    Ok(collections.find(&collections.events.clone_with_type(), filter, page).await?)
}
