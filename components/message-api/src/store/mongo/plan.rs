//! The order in which a user's unread messages are delivered.
//!
//! To find that order, every conversation of the user must be examined. That is done once for many pages: a [`Plan`] has the positions of
//! the next unread events, read from an index that contains all that is needed, and pages follow it. A plan examines each of the user's
//! conversations once and reads at most three times as many of their events as it contains, and it contains at least as many as there are
//! conversations: so the cost of all pages is proportional to the number of unread messages, however many senders there are.
//!
//! A user with unread messages in few conversations gets the first page without a plan: a single query finds it. Other users wait for the
//! first plan before they are shown anything, so it ends once it has more than a page and would have to read on.
//!
//! A stale plan is harmless: it only tells where to look. Whether an event is still unread is checked when its page is read, and the change
//! stream reports what was stored meanwhile ([`Progress::late`](super::progress::Progress::late)).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bson::{Document, doc};
use futures_util::{StreamExt, TryStreamExt, stream};
use mongo_client::FindOptions;
use protocol::{ConversationId, UserName};
use serde::Deserialize;
use uuid::Uuid;

use super::collections::Collections;
use super::document::EventDocument;
use super::progress::{Position, START, Told, long_ago};
use super::unread::memberships;
use crate::store::StoreError;

/// The minimum number of positions in a plan: a shorter plan costs hardly less.
const SHORTEST: usize = 1024;
/// The maximum number of positions in a plan; 1.5 MiB.
const LONGEST: usize = 64 * 1024;
/// Positions in all cached plans; 24 MiB. Overflow rule: the oldest plan is dropped, and made again on demand.
const KEPT: usize = 1024 * 1024;
/// Conversations whose events are read with one query. The server merges them, which becomes slower with their number.
const SOURCE: usize = 200;
/// Concurrent queries.
const PARALLEL: usize = 4;

/// The positions of a user's unread events, in order.
#[derive(Debug)]
pub(super) struct Plan {
    /// The plan has everything unread after this position,
    after: Position,
    pub(super) positions: Vec<Position>,
    /// except what follows its last position.
    pub(super) truncated: bool,
    /// What the change stream had published before the plan was made.
    pub(super) told: Option<Told>,
}

impl Plan {
    /// Makes the plan of what follows a position of which nothing was read yet.
    pub(super) async fn make(
        collections: &Collections,
        sources: Sources,
        told: Option<Told>,
        limit: usize,
    ) -> Result<Self, StoreError> {
        let Sources { after, sources, most, .. } = sources;
        let most = most.max(limit + 1);
        let filling = sources.into_iter().map(|source| source.fill(collections, most));
        let mut sources: Vec<Source> = stream::iter(filling).buffered(PARALLEL).try_collect().await?;
        let mut plan = Self { after, positions: Vec::new(), truncated: false, told };
        let enough = if after == START { limit + 1 } else { most };
        plan.merge(collections, &mut sources, (enough, most)).await?;
        Ok(plan)
    }

    /// Repeatedly takes the first event of all sources, and reads on when one of them is empty and there are not enough.
    async fn merge(
        &mut self,
        collections: &Collections,
        sources: &mut [Source],
        (enough, most): (usize, usize),
    ) -> Result<(), StoreError> {
        let first = |(n, source): (usize, &mut Source)| Some(Reverse((source.read.pop_front()?, n)));
        let mut heap: BinaryHeap<_> = sources.iter_mut().enumerate().filter_map(first).collect();
        while self.positions.len() < most
            && let Some(Reverse((position, n))) = heap.pop()
        {
            self.positions.push(position);
            if sources[n].must_read() {
                if self.positions.len() >= enough {
                    break;
                }
                let left = most - self.positions.len();
                sources[n] = std::mem::take(&mut sources[n]).fill(collections, left).await?;
            }
            heap.extend(sources[n].read.pop_front().map(|position| Reverse((position, n))));
        }
        self.truncated = !heap.is_empty() || sources.iter().any(Source::must_read);
        Ok(())
    }

    /// The plan's positions after `after`, if they are complete or more than a page.
    fn behind(&self, after: Position) -> &[Position] {
        let from = self.positions.partition_point(|position| *position <= after);
        &self.positions[from..]
    }

    /// The positions of the page after `after`, and whether more follow.
    pub(super) fn page(&self, after: Position, limit: usize) -> (&[Position], bool) {
        let behind = self.behind(after);
        let page = &behind[..behind.len().min(limit)];
        (page, self.truncated || behind.len() > limit)
    }

    /// Whether further pages follow the page after `after`. The last page must be read from the current state of the store.
    fn has_more_than(&self, limit: usize, after: Position) -> bool {
        self.after <= after && self.behind(after).len() > limit
    }
}

/// The conversations in which a user has unread messages.
#[derive(Debug)]
pub(super) struct Sources {
    /// The position after which they are read.
    after: Position,
    sources: Vec<Source>,
    /// The maximum number of positions to find.
    most: usize,
    /// The ends of those logs that grew recently.
    pub(super) heads: Vec<(ConversationId, u64)>,
}

impl Sources {
    pub(super) async fn find(
        collections: &Collections,
        user: &UserName,
        after: Position,
    ) -> Result<Self, StoreError> {
        let mut memberships = memberships(collections, user).await?;
        let most = memberships.len().clamp(SHORTEST, LONGEST);
        memberships.retain(|each| each.unread > 0);
        let since = long_ago();
        let recent = memberships.iter().filter(|each| each.head.order > since);
        let heads = recent.map(|each| (each.conversation.clone(), each.head.seq)).collect();
        let mut unread = memberships.into_iter().map(|each| Unread {
            from: each.cursor.order,
            sender: (!each.conversation.is_note_to_self()).then(|| user.key().to_owned()),
            conversation: each.conversation.as_str().to_owned(),
        });
        let mut sources = Vec::new();
        loop {
            let conversations: Vec<_> = unread.by_ref().take(SOURCE).collect();
            if conversations.is_empty() {
                break;
            }
            sources.push(Source { conversations, end: after, ..Source::default() });
        }
        let batch = (most / sources.len().max(1)).max(SOURCE);
        sources.iter_mut().for_each(|source| source.batch = batch);
        Ok(Self { after, sources, most, heads })
    }

    /// The first events themselves, if one query finds them in order: sufficient for most logins.
    pub(super) async fn first(
        &self,
        collections: &Collections,
        most: usize,
    ) -> Result<Option<Vec<EventDocument>>, StoreError> {
        match &*self.sources {
            [] => Ok(Some(Vec::new())),
            [source] if self.after == START => {
                Ok(Some(collections.find(&collections.events, source.filter(), in_order(most)).await?))
            }
            [_, ..] => Ok(None),
        }
    }
}

/// A conversation with unread messages.
#[derive(Debug)]
struct Unread {
    conversation: String,
    /// The order of the last event that was read.
    from: i64,
    /// The user whose own events do not count.
    sender: Option<String>,
}

/// Some conversations, whose events are read together.
#[derive(Debug, Default)]
struct Source {
    conversations: Vec<Unread>,
    /// What was read and is not in the plan yet.
    read: VecDeque<Position>,
    /// How far they were read.
    end: Position,
    ended: bool,
    /// How many events to read next.
    batch: usize,
}

#[derive(Debug, Deserialize)]
struct Row {
    #[serde(rename = "_id")]
    id: bson::Uuid,
    at: i64,
}

impl Source {
    /// Whether the buffered positions are used up, and there may be more.
    fn must_read(&self) -> bool {
        self.read.is_empty() && !self.ended
    }

    /// Reads on until there is something, or no more; at most as much as all before, so that unused reads stay proportional, and at most
    /// `left`.
    async fn fill(mut self, collections: &Collections, left: usize) -> Result<Self, StoreError> {
        while self.must_read() {
            // Each conversation has at most one event where the last page ended.
            let again = if self.end == START { 0 } else { self.conversations.len() };
            let most = self.batch.min(left) + again;
            self.batch *= 2;
            let options = in_order(most).projection(doc! { "_id": 1, "at": 1 });
            let events = collections.events.clone_with_type::<Row>();
            let rows = collections.find(&events, self.filter(), options).await?;
            self.ended = rows.len() < most;
            let positions = rows.iter().map(|row| (row.at, Uuid::from_bytes(row.id.bytes())));
            self.read.extend(positions.filter(|position| *position > self.end));
            self.end = self.read.back().copied().unwrap_or(self.end);
        }
        Ok(self)
    }

    /// Selects what is after the cursors and after the end of the last page. Conversations that begin at the same position share a clause:
    /// the server reads them in the same way as separate clauses (`SORT_MERGE`), and plans in a third of the time.
    fn filter(&self) -> Document {
        let mut clauses: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for Unread { conversation, from, sender } in &self.conversations {
            // After the cursor, or else after the end of the last page.
            let behind = Some(*from).filter(|from| *from >= self.end.0);
            clauses.entry((behind, sender.as_deref())).or_default().push(conversation);
        }
        let clauses = clauses.into_iter().map(|((behind, sender), conversations)| {
            let from = behind.map_or_else(|| doc! { "$gte": self.end.0 }, |behind| doc! { "$gt": behind });
            let mut clause = doc! { "conversation": { "$in": conversations }, "at": from };
            if let Some(sender) = sender {
                clause.insert("sender_key", doc! { "$ne": sender });
            }
            clause
        });
        doc! { "$or": clauses.collect::<Vec<_>>() }
    }
}

fn in_order(most: usize) -> FindOptions {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    FindOptions::new().sort(doc! { "at": 1, "_id": 1 }).limit(limit)
}

/// The cached plans.
///
/// Bound: [`KEPT`].
#[derive(Debug, Default)]
pub(super) struct Plans(Mutex<VecDeque<(UserName, Arc<Plan>)>>);

impl Plans {
    /// The latest plan that covers what follows a position, with more than a page of it.
    pub(super) fn get(&self, user: &UserName, after: Position, limit: usize) -> Option<Arc<Plan>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut plans = kept.iter().rev();
        plans
            .find(|(of, plan)| of == user && plan.has_more_than(limit, after))
            .map(|(_, plan)| Arc::clone(plan))
    }

    /// Caches a plan, replacing those that have no more than it has.
    pub(super) fn put(&self, user: &UserName, plan: Arc<Plan>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(of, old)| {
            of != user || old.after < plan.after || old.positions.last() > plan.positions.last()
        });
        kept.push_back((user.clone(), plan));
        let mut size: usize = kept.iter().map(|(_, plan)| plan.positions.len()).sum();
        while size > KEPT
            && let Some((_, oldest)) = kept.pop_front()
        {
            size -= oldest.positions.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::name;

    fn plan(after: i64, count: i64, truncated: bool) -> Arc<Plan> {
        let positions = (after + 1..=after + count).map(|at| (at, Uuid::nil())).collect();
        Arc::new(Plan { after: (after, Uuid::nil()), positions, truncated, told: None })
    }

    #[test]
    fn a_page_follows_its_plan_and_the_last_one_needs_another_plan() {
        let plan = plan(10, 5, false);
        let at = |at: i64| (at, Uuid::nil());
        assert_eq!(plan.page(at(10), 2), (&[at(11), at(12)][..], true));
        assert_eq!(plan.page(at(13), 2), (&[at(14), at(15)][..], false));
        assert!(plan.has_more_than(2, at(12)) && !plan.has_more_than(2, at(13)));
        assert!(!plan.has_more_than(2, at(9)), "it does not know of what lies before");
    }

    #[test]
    fn plans_are_bounded_and_a_newer_one_takes_the_place_of_what_it_holds() {
        let (plans, bob) = (Plans::default(), name("bob"));
        (0..100).for_each(|n| plans.put(&bob, plan(n * 50_000, 50_000, true)));
        let size =
            |plans: &Plans| plans.0.lock().unwrap().iter().map(|(_, p)| p.positions.len()).sum::<usize>();
        assert!(size(&plans) <= KEPT);
        assert!(plans.get(&bob, (0, Uuid::nil()), 1).is_none());
        assert!(plans.get(&bob, (99 * 50_000 + 7, Uuid::nil()), 1).is_some());
        assert!(plans.get(&name("carol"), (99 * 50_000 + 7, Uuid::nil()), 1).is_none());
        plans.put(&bob, plan(0, 5_000_000, false));
        assert_eq!(size(&plans), 0, "one alone may be too large");
        plans.put(&bob, plan(0, 10, true));
        plans.put(&bob, plan(0, 20, true));
        assert_eq!(size(&plans), 20);
    }
}
