//! What a user has not seen, page by page.
//!
//! Pages follow the time of the events, and that is not quite the order in which they are stored: where two processes write, one
//! whose clock is behind may store an event that lies before the end of a page which was read already. The next page would hold what
//! follows it in its conversation, and whoever was shown that would never be shown the event itself. So a page also holds what the
//! change stream has shown since the page before and lies before its end ([`Progress::late`]). Where that cannot be told, for the
//! stream stands still or is another one, the next page is the first one again.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use bson::{Document, doc};
use mongodb::options::FindOptions;
use protocol::{Event, UserName};
use uuid::Uuid;

use super::connect::Collections;
use super::document::{EventDocument, damaged};
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
    events: Vec<Event>,
    end: Place,
    more: bool,
    cursors: HashMap<String, Cursor>,
}

/// The page behind `after`.
pub(super) async fn unseen(
    collections: &Collections,
    progress: Option<&Progress>,
    user: &UserName,
    after: Option<&str>,
    limit: usize,
) -> Result<Unseen, StoreError> {
    let mut after = after.map_or(Ok(Place::BEGINNING), str::parse)?;
    let Some(progress) = progress else {
        return Ok(read(collections, user, after, limit).await?.finish(None));
    };
    loop {
        let begun = progress.told();
        let mut page = read(collections, user, after, limit).await?;
        let shown = progress.has_shown(collections, &page.events).await;
        let since = after.told.unwrap_or(begun);
        let late = if shown { progress.late(since, user, (page.end.at, page.end.id)) } else { None };
        match late {
            Some((late, told)) => {
                page.add(collections, late).await?;
                return Ok(page.finish(Some(told)));
            }
            None if after.told.is_none() => return Ok(page.finish(Some(begun))),
            None => after = Place::BEGINNING,
        }
    }
}

/// Finds the conversations with something unseen, then reads the user's events from the oldest of their cursors on.
async fn read(
    collections: &Collections,
    user: &UserName,
    after: Place,
    limit: usize,
) -> Result<Page, StoreError> {
    let cursors = cursors(collections, user).await?;
    let mut unread = received(collections, user).await?;
    unread.retain(|conversation, last| *last > seen(&cursors, conversation).seq);
    let Some(floor) = unread.keys().map(|conversation| seen(&cursors, conversation).at).min() else {
        return Ok(Page { events: Vec::new(), end: after, more: false, cursors });
    };
    let (at, id) = if floor > after.at { (floor, Uuid::max()) } else { (after.at, after.id) };
    let mut filter = doc! {
        "destination_key": user.key(),
        "$or": [{ "at": { "$gt": at } }, { "at": at, "_id": { "$gt": binary(id) } }],
    };
    if unread.len() <= MANY {
        filter.insert("conversation", doc! { "$in": unread.keys().collect::<Vec<_>>() });
    }
    let batch = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let options = FindOptions::builder().sort(doc! { "at": 1, "_id": 1 }).batch_size(batch).build();
    // Only their own conversation's cursor tells, so it is looked at here.
    let known = cursors.clone();
    let is_unseen = move |document: &EventDocument| document.seq > seen(&known, &document.conversation).seq;
    let found = collections.find_first(&collections.events, filter, options, limit + 1, is_unseen).await?;
    let more = found.len() > limit;
    let events = found.into_iter().take(limit).map(EventDocument::into_event);
    let events: Vec<Event> = events.collect::<Result<_, _>>()?;
    let end = events.last().map_or(after, |last| Place { at: last.at.micros(), id: last.id, told: None });
    Ok(Page { events, end, more, cursors })
}

impl Page {
    /// Puts what was stored late where it belongs.
    async fn add(&mut self, collections: &Collections, mut late: HashSet<Uuid>) -> Result<(), StoreError> {
        self.events.iter().for_each(|event| _ = late.remove(&event.id));
        if late.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = late.into_iter().map(binary).collect();
        let found = collections.find(&collections.events, doc! { "_id": { "$in": ids } }, None).await?;
        for document in found {
            if document.seq > seen(&self.cursors, &document.conversation).seq {
                self.events.push(document.into_event()?);
            }
        }
        self.events.sort_by_key(|event| (event.at, event.id));
        Ok(())
    }

    fn finish(self, told: Option<Told>) -> Unseen {
        // Nobody's clock is so far behind.
        let told = told.filter(|_| self.end.at > long_ago());
        let end = Place { told, ..self.end }.to_string();
        Unseen { events: self.events, end, more: self.more }
    }
}

fn binary(id: Uuid) -> bson::Uuid {
    bson::Uuid::from_bytes(id.into_bytes())
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
