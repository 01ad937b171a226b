//! What a user has not seen, page by page.
//!
//! Pages follow the time of the events, and that is not quite the order in which they are stored: where two processes write, one
//! whose clock is behind may store an event that lies before the end of a page which was read already. The next page would hold what
//! follows it in its conversation, and whoever was shown that would never be shown the event itself. So a page also holds what the
//! change stream has shown since the page before and lies before its end ([`Progress::late`]). Where that cannot be told, for the
//! stream stands still or is another one, the next page is the first one again.
//!
//! To know where the unseen begin, every conversation of the user must be looked at. That is done for the first page; it is kept, and
//! the pages behind it look at their own conversations only.

use std::collections::{HashMap, HashSet, VecDeque};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use bson::{Document, doc};
use mongodb::options::FindOptions;
use protocol::{Event, UserName};
use uuid::Uuid;

use super::connect::Collections;
use super::document::{EventDocument, Placed, damaged};
use super::progress::{Progress, Told, long_ago};
use super::query::{Cursor, MANY, cursors, seen};
use crate::store::{StoreError, Unseen};

/// A place in the order in which unseen events are handed over: `AT-ID`, and then `-RUN-COUNT` where there is a change stream.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: i64,
    id: Uuid,
    /// What the stream had shown when the page that ends here was complete.
    told: Option<Told>,
}

impl Place {
    const BEGINNING: Self = Self { at: 0, id: Uuid::nil(), told: None };
}

impl FromStr for Place {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let parse = || {
            let mut parts = text.split('-');
            let at = parts.next()?.parse().ok()?;
            let id = Uuid::try_parse(parts.next()?).ok()?;
            let told = match (parts.next(), parts.next(), parts.next()) {
                (None, ..) => None,
                (Some(run), Some(count), None) => {
                    Some(Told { run: Uuid::try_parse(run).ok()?, count: count.parse().ok()? })
                }
                _ => return None,
            };
            Some(Self { at, id, told })
        };
        parse().ok_or_else(|| StoreError::refused("after", "it must be the 'next' of the page before"))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.at, self.id.simple())?;
        self.told.map_or(Ok(()), |Told { run, count }| write!(f, "-{}-{count}", run.simple()))
    }
}

/// A page as it was read.
struct Page {
    events: Vec<Placed>,
    end: Place,
    more: bool,
}

/// The conversations in which a user had something unseen.
#[derive(Debug, Default)]
struct Unread {
    /// How far each was seen.
    seen: HashMap<String, i64>,
    /// The time of the first that may be unseen.
    floor: i64,
    /// The time of the last event that was looked at: later ones may be in other conversations.
    until: i64,
}

/// Conversations in all that is kept. Overflow rule: the oldest goes, and is looked up again when it is needed.
const KEPT: usize = 512 * 1024;

/// What was found out for the first pages of those who are being handed what they have not seen.
///
/// Bound: [`KEPT`], and one for each user.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<VecDeque<(UserName, Arc<Unread>)>>);

impl Kept {
    fn get(&self, user: &UserName) -> Option<Arc<Unread>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(of, _)| of == user).map(|(_, unread)| Arc::clone(unread))
    }

    fn put(&self, user: &UserName, unread: Unread) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(of, _)| of != user);
        kept.push_back((user.clone(), Arc::new(unread)));
        let mut size: usize = kept.iter().map(|(_, unread)| unread.seen.len() + 1).sum();
        while size > KEPT
            && let Some((_, oldest)) = kept.pop_front()
        {
            size -= oldest.seen.len() + 1;
        }
    }
}

/// The page behind `after`.
pub(super) async fn unseen(
    collections: &Collections,
    kept: &Kept,
    progress: Option<&Progress>,
    user: &UserName,
    after: Option<&str>,
    limit: usize,
) -> Result<Unseen, StoreError> {
    let mut after = after.map_or(Ok(Place::BEGINNING), str::parse)?;
    let Some(progress) = progress else {
        return Ok(read(collections, kept, user, after, limit).await?.finish(None));
    };
    loop {
        let begun = progress.told();
        let mut page = read(collections, kept, user, after, limit).await?;
        let shown = {
            let read = page.events.iter().map(|placed| (&placed.event, placed.order));
            progress.has_shown(collections, read).await
        };
        let since = after.told.unwrap_or(begun);
        let late = if shown { progress.late(since, user, (page.end.at, page.end.id)) } else { None };
        match late {
            Some((late, told)) => {
                page.add(collections, user, late).await?;
                return Ok(page.finish(Some(told)));
            }
            None if after.told.is_none() => return Ok(page.finish(Some(begun))),
            None => after = Place::BEGINNING,
        }
    }
}

/// The page behind `after`, from what is kept of the user where that reaches far enough.
async fn read(
    collections: &Collections,
    kept: &Kept,
    user: &UserName,
    after: Place,
    limit: usize,
) -> Result<Page, StoreError> {
    let known = if after.at > 0 { kept.get(user) } else { None };
    if let Some(unread) = known {
        let page = read_page(collections, user, &unread, after, limit, Some(unread.until)).await?;
        if page.more {
            return page.without_seen(collections, user).await;
        }
    }
    let unread = unread(collections, user).await?;
    if unread.seen.is_empty() {
        return Ok(Page { events: Vec::new(), end: after, more: false });
    }
    let page = read_page(collections, user, &unread, after, limit, None).await?;
    if page.more {
        kept.put(user, unread);
    }
    Ok(page)
}

/// Finds the conversations with something unseen. Looks at all of the user's.
async fn unread(collections: &Collections, user: &UserName) -> Result<Unread, StoreError> {
    let cursors = cursors(collections, user).await?;
    let mut unread = Unread { floor: i64::MAX, ..Unread::default() };
    for (conversation, last) in received(collections, user).await? {
        let Cursor { seq, at } = seen(&cursors, &conversation);
        if last.seq > seq {
            unread.floor = at.min(unread.floor);
            unread.until = last.at.max(unread.until);
            unread.seen.insert(conversation, seq);
        }
    }
    Ok(unread)
}

/// Reads the user's events from the oldest of their cursors on.
async fn read_page(
    collections: &Collections,
    user: &UserName,
    unread: &Unread,
    after: Place,
    limit: usize,
    until: Option<i64>,
) -> Result<Page, StoreError> {
    let (at, id) = if unread.floor > after.at { (unread.floor, Uuid::max()) } else { (after.at, after.id) };
    let mut filter = doc! {
        "destination_key": user.key(),
        "$or": [{ "at": { "$gt": at } }, { "at": at, "_id": { "$gt": binary(id) } }],
    };
    if let Some(until) = until {
        filter.insert("at", doc! { "$lte": until });
    }
    if unread.seen.len() <= MANY {
        filter.insert("conversation", doc! { "$in": unread.seen.keys().collect::<Vec<_>>() });
    }
    let batch = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let options = FindOptions::builder().sort(doc! { "at": 1, "_id": 1 }).batch_size(batch).build();
    // Only their own conversation's cursor tells, so it is looked at here.
    let known = unread.seen.clone();
    let is_unseen = move |document: &EventDocument| {
        known.get(&document.conversation).is_some_and(|seen| document.seq > *seen)
    };
    let found = collections.find_first(&collections.events, filter, options, limit + 1, is_unseen).await?;
    let more = found.len() > limit;
    let events = found.into_iter().take(limit).map(EventDocument::into_placed);
    let events: Vec<Placed> = events.collect::<Result<_, _>>()?;
    let end = events.last().map_or(after, |last| Place { at: last.order, id: last.event.id, told: None });
    Ok(Page { events, end, more })
}

/// How far the user has seen some conversations now.
async fn cursors_of<'c>(
    collections: &Collections,
    user: &UserName,
    conversations: impl Iterator<Item = &'c str>,
) -> Result<HashMap<String, i64>, StoreError> {
    let ids: HashSet<String> =
        conversations.map(|conversation| format!("{} {conversation}", user.key())).collect();
    let filter = doc! { "_id": { "$in": ids.into_iter().collect::<Vec<_>>() } };
    let found = collections.find(&collections.cursors, filter, None).await?;
    let read = |document: &Document| -> Result<_, bson::error::Error> {
        Ok((document.get_str("conversation")?.to_owned(), document.get_i64("seen")?))
    };
    found.iter().map(|document| read(document).map_err(damaged)).collect()
}

impl Page {
    /// Leaves out what was seen since the conversations were looked at.
    async fn without_seen(mut self, collections: &Collections, user: &UserName) -> Result<Self, StoreError> {
        let conversations = self.events.iter().map(|placed| placed.event.conversation.as_str());
        let seen = cursors_of(collections, user, conversations).await?;
        let seen = |event: &Event| seen.get(event.conversation.as_str()).copied().unwrap_or(0);
        self.events
            .retain(|Placed { event, .. }| i64::try_from(event.seq).is_ok_and(|seq| seq > seen(event)));
        Ok(self)
    }

    /// Puts what was stored late where it belongs.
    async fn add(
        &mut self,
        collections: &Collections,
        user: &UserName,
        mut late: HashSet<Uuid>,
    ) -> Result<(), StoreError> {
        self.events.iter().for_each(|placed| _ = late.remove(&placed.event.id));
        if late.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = late.into_iter().map(binary).collect();
        let found = collections.find(&collections.events, doc! { "_id": { "$in": ids } }, None).await?;
        let conversations = found.iter().map(|document| document.conversation.as_str());
        let seen = cursors_of(collections, user, conversations).await?;
        for document in found {
            if document.seq > seen.get(&document.conversation).copied().unwrap_or(0) {
                self.events.push(document.into_placed()?);
            }
        }
        self.events.sort_by_key(|placed| (placed.order, placed.event.id));
        Ok(())
    }

    fn finish(self, told: Option<Told>) -> Unseen {
        // Nobody's clock is so far behind.
        let told = told.filter(|_| self.end.at > long_ago());
        let end = Place { told, ..self.end }.to_string();
        let events = self.events.into_iter().map(|placed| placed.event).collect();
        Unseen { events, end, more: self.more }
    }
}

fn binary(id: Uuid) -> bson::Uuid {
    bson::Uuid::from_bytes(id.into_bytes())
}

/// The last event for the user in each conversation. One index seek a conversation (a `DISTINCT_SCAN` of `inbox`), however long
/// they are.
async fn received(collections: &Collections, user: &UserName) -> Result<HashMap<String, Cursor>, StoreError> {
    let pipeline = vec![
        doc! { "$match": { "destination_key": user.key() } },
        doc! { "$sort": { "destination_key": 1, "conversation": 1, "seq": -1 } },
        doc! { "$group": { "_id": "$conversation", "seq": { "$first": "$seq" }, "at": { "$first": "$at" } } },
    ];
    let found = collections.aggregate(&collections.events, pipeline).await?;
    let read = |document: &Document| -> Result<_, bson::error::Error> {
        let last = Cursor { seq: document.get_i64("seq")?, at: document.get_i64("at")? };
        Ok((document.get_str("_id")?.to_owned(), last))
    };
    found.iter().map(|document| read(document).map_err(damaged)).collect()
}
