//! What is read of the logs.

use std::collections::HashMap;

use bson::{Bson, Document, doc};
use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::options::FindOptions;
use protocol::api::EventPage;
use protocol::native::ConversationSummary;
use protocol::{ConversationId, Event, UserName};

use super::connect::Collections;
use super::document::{EventDocument, Placed, damaged};
use crate::store::{Range, StoreError};

/// Conversations asked for in one query; BSON documents have a limit, and so has patience.
pub(super) const MANY: usize = 1000;
/// Counts at the same time.
const PARALLEL: usize = 8;

/// How far a user has seen a conversation.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    pub(super) seq: i64,
    pub(super) at: i64,
}

/// The user's cursor in a conversation.
pub(super) fn seen(cursors: &HashMap<String, Cursor>, conversation: &str) -> Cursor {
    cursors.get(conversation).copied().unwrap_or_default()
}

/// The user's cursors by conversation.
pub(super) async fn cursors(
    collections: &Collections,
    user: &UserName,
) -> Result<HashMap<String, Cursor>, StoreError> {
    let found = collections.find(&collections.cursors, doc! { "user": user.key() }, None).await?;
    let read = |document: &Document| -> Result<_, bson::error::Error> {
        let cursor = Cursor { seq: document.get_i64("seen")?, at: document.get_i64("seen_at")? };
        Ok((document.get_str("conversation")?.to_owned(), cursor))
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
    let with = partner(collections, &last, user).await?;
    Ok(ConversationSummary {
        conversation: last.conversation.clone(),
        with,
        head,
        seen: u64::try_from(seen).map_err(damaged)?,
        unseen,
        last: Some(last),
    })
}

/// How far back in a conversation one looks for how its other user spells their name.
const SPELLINGS: u64 = 64;

/// The other user of a direct conversation, spelled as they spelled it lately or when they registered.
async fn partner(collections: &Collections, last: &Event, user: &UserName) -> Result<UserName, StoreError> {
    if last.sender != *user {
        return Ok(last.sender.clone());
    }
    let key = last.dm_receiver().unwrap_or(user.key());
    let lately = doc! {
        "conversation": last.conversation.as_str(), "seq": { "$gt": number(last.seq.saturating_sub(SPELLINGS)) },
        "sender_key": key,
    };
    let latest = FindOptions::builder().sort(doc! { "conversation": 1, "seq": -1 }).limit(1).build();
    if let Some(said) = collections.find(&collections.events, lately, latest).await?.pop() {
        return Ok(said.into_event()?.sender);
    }
    let found = collections.find(&collections.users, doc! { "_id": key }, None).await?.pop();
    let name = found.as_ref().and_then(|document| document.get_str("name").ok()).unwrap_or(key);
    UserName::stored(name).map_err(damaged)
}

/// A page of a conversation, and the places of its events in the order of all.
pub(super) async fn events(
    collections: &Collections,
    conversation: &ConversationId,
    range: Range,
    limit: usize,
) -> Result<(EventPage, Vec<i64>), StoreError> {
    let (edge, order) = match range {
        Range::After(seq) => (doc! { "$gt": number(seq) }, 1),
        Range::Before(seq) => (doc! { "$lt": number(seq) }, -1),
    };
    let filter = doc! { "conversation": conversation.as_str(), "seq": edge };
    let most = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let sort = doc! { "conversation": order, "seq": order };
    let options = FindOptions::builder().sort(sort).limit(most).build();
    let found = collections.find(&collections.events, filter, options).await?;
    let found = found.into_iter().map(EventDocument::into_placed);
    let mut placed: Vec<Placed> = found.collect::<Result<_, _>>()?;
    let more = placed.len() > limit;
    placed.truncate(limit);
    if matches!(range, Range::Before(_)) {
        placed.reverse();
    }
    let (events, orders) = placed.into_iter().map(|placed| (placed.event, placed.order)).unzip();
    Ok((EventPage { events, more }, orders))
}

/// Of whatever size, what is past the end is past the end.
pub(super) fn number(seq: u64) -> Bson {
    Bson::Int64(i64::try_from(seq).unwrap_or(i64::MAX))
}
