//! What is read of the logs.

use std::collections::HashMap;
use std::str::FromStr;

use bson::{Bson, Document, doc};
use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::options::FindOptions;
use protocol::api::EventPage;
use protocol::native::ConversationSummary;
use protocol::{ConversationId, Event, UserName};

use super::connect::Collections;
use super::document::{EventDocument, damaged};
use crate::store::{Range, StoreError, Unseen};

/// Conversations asked for in one query; BSON documents have a limit, and so has patience.
const MANY: usize = 1000;
/// Counts at the same time.
const PARALLEL: usize = 8;

/// A place in the order in which unseen events are handed over: `AT-ID`.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: i64,
    id: bson::Uuid,
}

impl FromStr for Place {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let error = || StoreError::refused("after", "it must be the 'next' of the page before");
        let (at, id) = text.split_once('-').ok_or_else(error)?;
        let id = uuid::Uuid::try_parse(id).map_err(|_| error())?;
        Ok(Self { at: at.parse().map_err(|_| error())?, id: bson::Uuid::from_bytes(id.into_bytes()) })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.at, uuid::Uuid::from_bytes(self.id.bytes()).simple())
    }
}

/// How far a user has seen a conversation.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    seq: i64,
    at: i64,
}

/// Finds the conversations with something unseen, then reads the user's events from the oldest of their cursors on.
pub(super) async fn unseen(
    collections: &Collections,
    user: &UserName,
    after: Option<&str>,
    limit: usize,
) -> Result<Unseen, StoreError> {
    let beginning = Place { at: 0, id: bson::Uuid::from_bytes([0; 16]) };
    let after = after.map_or(Ok(beginning), str::parse)?;
    let cursors = cursors(collections, user).await?;
    let mut unread = received(collections, user).await?;
    unread.retain(|conversation, last| *last > seen(&cursors, conversation).seq);
    let Some(floor) = unread.keys().map(|conversation| seen(&cursors, conversation).at).min() else {
        return Ok(Unseen { events: Vec::new(), end: after.to_string(), more: false });
    };
    let from =
        if floor > after.at { Place { at: floor, id: bson::Uuid::from_bytes([0xff; 16]) } } else { after };
    let mut filter = doc! {
        "destination_key": user.key(),
        "$or": [{ "at": { "$gt": from.at } }, { "at": from.at, "_id": { "$gt": from.id } }],
    };
    if unread.len() <= MANY {
        filter.insert("conversation", doc! { "$in": unread.keys().collect::<Vec<_>>() });
    }
    let found = unseen_documents(collections, filter, cursors, limit + 1).await?;
    let more = found.len() > limit;
    let found: Vec<_> = found.into_iter().take(limit).collect();
    let end = found.last().map_or(after, |last| Place { at: last.at, id: last.id });
    let events = found.into_iter().map(EventDocument::into_event).collect::<Result<_, _>>()?;
    Ok(Unseen { events, end: end.to_string(), more })
}

/// The first `limit` documents past their conversation's cursor. Only their own cursor tells, so it is looked at here.
async fn unseen_documents(
    collections: &Collections,
    filter: Document,
    cursors: HashMap<String, Cursor>,
    limit: usize,
) -> Result<Vec<EventDocument>, StoreError> {
    let batch = u32::try_from(limit).unwrap_or(u32::MAX);
    let options = FindOptions::builder().sort(doc! { "at": 1, "_id": 1 }).batch_size(batch).build();
    let is_unseen = move |document: &EventDocument| document.seq > seen(&cursors, &document.conversation).seq;
    Ok(collections.find_first(&collections.events, filter, options, limit, is_unseen).await?)
}

fn seen(cursors: &HashMap<String, Cursor>, conversation: &str) -> Cursor {
    cursors.get(conversation).copied().unwrap_or_default()
}

async fn cursors(collections: &Collections, user: &UserName) -> Result<HashMap<String, Cursor>, StoreError> {
    let found = collections.find(&collections.cursors, doc! { "user": user.key() }, None).await?;
    let read = |document: &Document| -> Result<_, bson::error::Error> {
        let cursor = Cursor { seq: document.get_i64("seen")?, at: document.get_i64("seen_at")? };
        Ok((document.get_str("conversation")?.to_owned(), cursor))
    };
    found.iter().map(|document| read(document).map_err(damaged)).collect()
}

/// The last event for the user in each conversation. One index seek a conversation (a `DISTINCT_SCAN` of `inbox`), however long
/// they are.
async fn received(collections: &Collections, user: &UserName) -> Result<HashMap<String, i64>, StoreError> {
    let pipeline = vec![
        doc! { "$match": { "destination_key": user.key() } },
        doc! { "$sort": { "destination_key": 1, "conversation": 1, "seq": -1 } },
        doc! { "$group": { "_id": "$conversation", "seq": { "$first": "$seq" } } },
    ];
    let found = collections.aggregate(&collections.events, pipeline).await?;
    let read = |document: &Document| -> Result<_, bson::error::Error> {
        Ok((document.get_str("_id")?.to_owned(), document.get_i64("seq")?))
    };
    found.iter().map(|document| read(document).map_err(damaged)).collect()
}

/// The places of these conversations that were given away before the log was taken back somewhere else and brought here.
pub(super) async fn floors(
    collections: &Collections,
    conversations: impl Iterator<Item = &ConversationId>,
) -> Result<HashMap<String, u64>, StoreError> {
    let keys: Vec<&str> = conversations.map(ConversationId::as_str).collect();
    let mut floors = HashMap::new();
    for keys in keys.chunks(MANY) {
        let filter = doc! { "_id": { "$in": keys }, "floor": { "$gt": 0 } };
        for document in collections.find(&collections.conversations, filter, None).await? {
            let floor = u64::try_from(document.get_i64("floor").map_err(damaged)?).map_err(damaged)?;
            floors.insert(document.get_str("_id").map_err(damaged)?.to_owned(), floor);
        }
    }
    Ok(floors)
}

/// `seq` and `at` of the last event of each conversation that has any.
pub(super) async fn heads<'c>(
    collections: &Collections,
    conversations: impl Iterator<Item = &'c ConversationId>,
) -> Result<HashMap<String, (u64, i64)>, StoreError> {
    let keys: Vec<&str> = conversations.map(ConversationId::as_str).collect();
    let mut heads = HashMap::new();
    for keys in keys.chunks(MANY) {
        let pipeline = vec![
            doc! { "$match": { "conversation": { "$in": keys } } },
            doc! { "$sort": { "conversation": 1, "seq": -1 } },
            doc! { "$group": {
                "_id": "$conversation", "seq": { "$first": "$seq" }, "at": { "$first": "$at" },
            } },
        ];
        for document in collections.aggregate(&collections.events, pipeline).await? {
            let seq = u64::try_from(document.get_i64("seq").map_err(damaged)?).map_err(damaged)?;
            let at = document.get_i64("at").map_err(damaged)?;
            heads.insert(document.get_str("_id").map_err(damaged)?.to_owned(), (seq, at));
        }
    }
    Ok(heads)
}

/// The most recent conversations.
pub(super) async fn conversations(
    collections: &Collections,
    user: &UserName,
    limit: usize,
) -> Result<Vec<ConversationSummary>, StoreError> {
    let own = doc! { "members": user.key() };
    let found = collections.find(&collections.conversations, own, None).await?;
    let ids = found.iter().map(|document| {
        let id = document.get_str("_id").map_err(damaged)?;
        ConversationId::parse(id).map_err(damaged)
    });
    let ids: Vec<ConversationId> = ids.collect::<Result<_, _>>()?;
    let mut recent: Vec<_> = heads(collections, ids.iter()).await?.into_iter().collect();
    recent.sort_unstable_by_key(|(_, (_, at))| std::cmp::Reverse(*at));
    recent.truncate(limit);
    let cursors = cursors(collections, user).await?;
    let summaries = recent.into_iter().map(|(conversation, (head, _))| {
        let seen = seen(&cursors, &conversation).seq;
        summary(collections, user, conversation, head, seen)
    });
    stream::iter(summaries).buffered(PARALLEL).try_collect().await
}

async fn summary(
    collections: &Collections,
    user: &UserName,
    conversation: String,
    head: u64,
    seen: i64,
) -> Result<ConversationSummary, StoreError> {
    let last = doc! { "conversation": &conversation, "seq": number(head) };
    let unseen =
        doc! { "destination_key": user.key(), "conversation": &conversation, "seq": { "$gt": seen } };
    let last = collections.find(&collections.events, last, None).await?.pop();
    let unseen = collections.count(&collections.events, unseen, None).await?;
    let last = last.ok_or_else(|| StoreError::unavailable("an event is gone from MongoDB"))?.into_event()?;
    let with = if last.sender == *user { &last.destination } else { &last.sender };
    Ok(ConversationSummary {
        conversation: last.conversation.clone(),
        with: with.clone(),
        head,
        seen: u64::try_from(seen).map_err(damaged)?,
        unseen,
        last: Some(last),
    })
}

/// A page of a conversation.
pub(super) async fn events(
    collections: &Collections,
    conversation: &ConversationId,
    range: Range,
    limit: usize,
) -> Result<EventPage, StoreError> {
    let (edge, order) = match range {
        Range::After(seq) => (doc! { "$gt": number(seq) }, 1),
        Range::Before(seq) => (doc! { "$lt": number(seq) }, -1),
    };
    let filter = doc! { "conversation": conversation.as_str(), "seq": edge };
    let most = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let sort = doc! { "conversation": order, "seq": order };
    let options = FindOptions::builder().sort(sort).limit(most).build();
    let found = collections.find(&collections.events, filter, options).await?;
    let found = found.into_iter().map(EventDocument::into_event);
    let mut events: Vec<Event> = found.collect::<Result<_, _>>()?;
    let more = events.len() > limit;
    events.truncate(limit);
    if matches!(range, Range::Before(_)) {
        events.reverse();
    }
    Ok(EventPage { events, more })
}

/// Of whatever size, what is past the end is past the end.
pub(super) fn number(seq: u64) -> Bson {
    Bson::Int64(i64::try_from(seq).unwrap_or(i64::MAX))
}
