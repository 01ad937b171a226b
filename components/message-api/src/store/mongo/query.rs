//! Queries of the logs.

use std::collections::HashMap;

use bson::doc;
use futures_util::{StreamExt, TryStreamExt, stream};
use mongo_client::FindOptions;
use protocol::api::EventPage;
use protocol::native::ConversationSummary;
use protocol::{ConversationId, Event, UserName};

use super::collections::Collections;
use super::document::{EventDocument, Placed, damaged, number};
use super::edges::MANY;
use super::unread::{Membership, memberships};
use crate::store::{Range, StoreError};

/// Concurrent queries.
const PARALLEL: usize = 8;

/// The highest `seq`s that these conversations had assigned before a restore elsewhere that was imported here.
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

/// The most recent conversations.
pub(super) async fn conversations(
    collections: &Collections,
    user: &UserName,
    limit: usize,
) -> Result<Vec<ConversationSummary>, StoreError> {
    let mut recent = memberships(collections, user).await?;
    recent.sort_unstable_by_key(|membership| std::cmp::Reverse(membership.head.order));
    recent.truncate(limit);
    let mut lasts = lasts(collections, &recent).await?;
    let summaries = recent.into_iter().map(|membership| {
        let last = lasts.remove(membership.conversation.as_str());
        summary(collections, user, membership, last)
    });
    let summaries: Vec<_> = summaries.collect();
    stream::iter(summaries).buffered(PARALLEL).try_collect().await
}

/// The last events of these conversations.
async fn lasts(
    collections: &Collections,
    memberships: &[Membership],
) -> Result<HashMap<String, EventDocument>, StoreError> {
    let mut lasts = HashMap::with_capacity(memberships.len());
    for some in memberships.chunks(MANY) {
        let place = |each: &Membership| doc! { "conversation": each.conversation.as_str(), "seq": number(each.head.seq) };
        let filter = doc! { "$or": some.iter().map(place).collect::<Vec<_>>() };
        let found = collections.find(&collections.events, filter, None).await?;
        lasts.extend(found.into_iter().map(|last| (last.conversation.clone(), last)));
    }
    Ok(lasts)
}

async fn summary(
    collections: &Collections,
    user: &UserName,
    membership: Membership,
    last: Option<EventDocument>,
) -> Result<ConversationSummary, StoreError> {
    let last = last.ok_or_else(|| StoreError::unavailable("an event is gone from MongoDB"))?.into_event()?;
    let with = partner(collections, &last, user).await?;
    Ok(ConversationSummary {
        conversation: membership.conversation,
        with,
        head: membership.head.seq,
        seen: u64::try_from(membership.cursor.seq).map_err(damaged)?,
        unseen: membership.unread,
        last: Some(last),
    })
}

/// How far back in a conversation to look for the other user's spelling of their name.
const SPELLINGS: u64 = 64;

/// The other user of a direct conversation, as they spelled their name recently or when they registered.
async fn partner(collections: &Collections, last: &Event, user: &UserName) -> Result<UserName, StoreError> {
    if last.sender != *user {
        return Ok(last.sender.clone());
    }
    let key = last.conversation.dm_partner(user).unwrap_or(user.key());
    let lately = doc! {
        "conversation": last.conversation.as_str(), "seq": { "$gt": number(last.seq.saturating_sub(SPELLINGS)) },
        "sender_key": key,
    };
    let latest = FindOptions::new().sort(doc! { "conversation": 1, "seq": -1 }).limit(1);
    if let Some(said) = collections.find(&collections.events, lately, latest).await?.pop() {
        return Ok(said.into_event()?.sender);
    }
    let found = collections.find(&collections.users, doc! { "_id": key }, None).await?.pop();
    let name = found.as_ref().and_then(|document| document.get_str("name").ok()).unwrap_or(key);
    UserName::stored(name).map_err(damaged)
}

/// A page of a conversation, with the orders of its events.
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
    let options = FindOptions::new().sort(sort).limit(most);
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
