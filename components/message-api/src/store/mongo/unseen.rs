//! Unread messages in pages.
//!
//! Pages are in the order of events, which is not exactly that in which they are stored: if two processes write, one whose clock is behind
//! may store an event that belongs to a page that was already read. The next page would contain what follows it in its conversation, and a
//! client that was shown that would never be shown the event itself. So a page also contains what the change stream has published since the
//! previous page and belongs to that, and what it has published since its [`Plan`] was made and belongs to this page ([`Progress::late`]).
//! If that is unknown, because the stream is stalled or was replaced, the next page is the first one again.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;
use std::sync::Arc;

use bson::{Document, doc};
use protocol::{ConversationId, Event, UserName};
use uuid::Uuid;

use super::collections::Collections;
use super::document::{EventDocument, Placed, damaged};
use super::plan::{Plan, Plans, Sources};
use super::progress::{Position, Progress, START, Told, long_ago};
use crate::store::{StoreError, Unseen};

/// A position in the order of delivery: `AT-ID`, followed by `-RUN-COUNT` if there is a change stream.
#[derive(Debug, Clone, Copy)]
struct Place {
    position: Position,
    /// What the stream had published when the page that ends here was complete.
    told: Option<Told>,
}

impl Place {
    const BEGINNING: Self = Self { position: START, told: None };
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
            Some(Self { position: (at, id), told })
        };
        parse().ok_or_else(|| StoreError::refused("after", "it must be the 'next' of the page before"))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (at, id) = self.position;
        write!(f, "{at}-{}", id.simple())?;
        self.told.map_or(Ok(()), |Told { run, count }| write!(f, "-{}-{count}", run.simple()))
    }
}

/// A page as read.
struct Page {
    events: Vec<Placed>,
    end: Position,
    more: bool,
    /// What the stream had published before its plan was made.
    planned: Option<Told>,
    /// The ends of logs, if they were read for this page.
    heads: Vec<(ConversationId, u64)>,
}

/// The page after `after`.
pub(super) async fn unseen(
    collections: &Collections,
    plans: &Plans,
    progress: Option<&Progress>,
    user: &UserName,
    after: Option<&str>,
    limit: usize,
) -> Result<Unseen, StoreError> {
    let mut after = after.map_or(Ok(Place::BEGINNING), str::parse)?;
    loop {
        let mut page = read(collections, plans, progress, user, after.position, limit).await?;
        let (Some(progress), Some(planned)) = (progress, page.planned) else { return Ok(page.finish(None)) };
        let read = page.events.iter().map(|placed| (&placed.event, placed.order));
        let shown = progress.has_shown(collections, read, &page.heads).await;
        let since = (after.position, after.told);
        let late = if shown { progress.late(user, planned, since, page.end) } else { None };
        match late {
            Some((late, told)) => {
                page.add(collections, user, late).await?;
                return Ok(page.finish(Some(told)));
            }
            None if after.told.is_none() => return Ok(page.finish(Some(planned))),
            None => after = Place::BEGINNING,
        }
    }
}

/// The page after `after`: by an existing plan if further pages follow, otherwise by a new one.
async fn read(
    collections: &Collections,
    plans: &Plans,
    progress: Option<&Progress>,
    user: &UserName,
    after: Position,
    limit: usize,
) -> Result<Page, StoreError> {
    let is_usable = |plan: &Arc<Plan>| match (progress, plan.told) {
        (Some(progress), Some(told)) => progress.remembers(told),
        (None, _) | (_, None) => true,
    };
    // A first page shows the current state.
    let kept = if after > START { plans.get(user, after, limit) } else { None };
    if let Some(plan) = kept.filter(is_usable) {
        return Page::read(collections, &plan, after, limit).await?.without_seen(collections, user).await;
    }
    let told = progress.map(Progress::told);
    let mut sources = Sources::find(collections, user, after).await?;
    let heads = std::mem::take(&mut sources.heads);
    if let Some(found) = sources.first(collections, limit + 1).await? {
        let more = found.len() > limit;
        return Ok(Page { heads, ..Page::of(found.into_iter().take(limit), (after, more, told))? });
    }
    let plan = Arc::new(Plan::make(collections, sources, told, limit).await?);
    let page = Page::read(collections, &plan, after, limit).await?;
    if page.more {
        plans.put(user, plan);
    }
    Ok(Page { heads, ..page })
}

/// The user's current cursors in some conversations.
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

async fn events_of(
    collections: &Collections,
    ids: impl Iterator<Item = Uuid>,
) -> Result<Vec<EventDocument>, StoreError> {
    let ids: Vec<_> = ids.map(|id| bson::Uuid::from_bytes(id.into_bytes())).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(collections.find(&collections.events, doc! { "_id": { "$in": ids } }, None).await?)
}

impl Page {
    async fn read(
        collections: &Collections,
        plan: &Plan,
        after: Position,
        limit: usize,
    ) -> Result<Self, StoreError> {
        let (positions, more) = plan.page(after, limit);
        let found = events_of(collections, positions.iter().map(|(_, id)| *id)).await?;
        let end = positions.last().copied().unwrap_or(after);
        Self::of(found.into_iter(), (end, more, plan.told))
    }

    /// Of these events; it ends there, or after the last of them.
    fn of(
        found: impl Iterator<Item = EventDocument>,
        (end, more, planned): (Position, bool, Option<Told>),
    ) -> Result<Self, StoreError> {
        let events = found.map(EventDocument::into_placed).collect::<Result<Vec<Placed>, _>>()?;
        let mut page = Self { events, end, more, planned, heads: Vec::new() };
        page.sort();
        let last = page.events.last().map(|placed| (placed.order, placed.event.id));
        page.end = last.map_or(end, |last| last.max(end));
        Ok(page)
    }

    fn sort(&mut self) {
        self.events.sort_by_key(|placed| (placed.order, placed.event.id));
    }

    /// Removes what was read since the plan was made.
    async fn without_seen(mut self, collections: &Collections, user: &UserName) -> Result<Self, StoreError> {
        let conversations = self.events.iter().map(|placed| placed.event.conversation.as_str());
        let seen = cursors_of(collections, user, conversations).await?;
        let seen = |event: &Event| seen.get(event.conversation.as_str()).copied().unwrap_or(0);
        self.events
            .retain(|Placed { event, .. }| i64::try_from(event.seq).is_ok_and(|seq| seq > seen(event)));
        Ok(self)
    }

    /// Inserts events that were stored late.
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
        let found = events_of(collections, late.into_iter()).await?;
        let conversations = found.iter().map(|document| document.conversation.as_str());
        let seen = cursors_of(collections, user, conversations).await?;
        for document in found {
            if document.seq > seen.get(&document.conversation).copied().unwrap_or(0) {
                self.events.push(document.into_placed()?);
            }
        }
        self.sort();
        Ok(())
    }

    fn finish(self, told: Option<Told>) -> Unseen {
        // No clock is so far behind.
        let told = told.filter(|_| self.end.0 > long_ago());
        let end = Place { position: self.end, told }.to_string();
        let events = self.events.into_iter().map(|placed| placed.event).collect();
        Unseen { events, end, more: self.more }
    }
}
