//! Tracks how far the change stream has come, so that no reader returns an event before the feed does.
//!
//! Readers combine pages with the feed by the feed's position; see [`Store::events`](crate::store::Store::events). An event that was read
//! counts as published if it is known to be; or if it is so old that it precedes this process; or once the stream is past the server's time
//! of the read, or was read to its end. The last takes up to 200 ms, so its result is remembered: for a log up to its end if that was read
//! before, otherwise up to the event.
//!
//! The last events are also remembered one by one, for readers of several pages that must know what came between.

use std::collections::{HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bson::{Timestamp as ClusterTime, doc};
use lru::LruCache;
use protocol::{ConversationId, Event, Timestamp, UserName};
use tokio::sync::watch;
use uuid::Uuid;

use super::collections::Collections;
use super::counted::is_incoming;

/// The number of conversations remembered, most recently used.
const HEADS: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();
/// The number of events remembered one by one: more than arrive between two consecutive pages.
const LAST: usize = 8192;
/// An event this old was published, unless the stream is stalled, and no new event gets such a time. Far more than clocks differ.
const OLD: Duration = Duration::from_secs(600);
/// Readers do not wait longer for a stalled stream: the store's answer then precedes the feed, and events may be delivered twice.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A position in the order over all conversations: the order, and the event's id in case two processes assigned the same.
pub(super) type Position = (i64, Uuid);
/// Before all events.
pub(super) const START: Position = (0, Uuid::nil());

/// What the stream has published.
#[derive(Debug)]
pub(super) struct Progress {
    shown: Mutex<Shown>,
    /// The highest order of any published event.
    latest: AtomicI64,
    passed: watch::Sender<Passed>,
}

#[derive(Debug)]
struct Shown {
    heads: LruCache<ConversationId, u64>,
    /// The time of the last event taken from the stream.
    time: ClusterTime,
    /// Bound: [`LAST`]. Overflow: the oldest is dropped, and [`Progress::late`] cannot report it.
    last: VecDeque<Last>,
    told: Told,
}

/// A recently published event.
#[derive(Debug)]
struct Last {
    conversation: ConversationId,
    sender: UserName,
    position: Position,
}

/// The number of events that a stream has published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// Identifies the stream; it changes with the process, and when events may have been missed.
    pub(super) run: Uuid,
    pub(super) count: u64,
}

/// A time before which no new event can be.
pub(super) fn long_ago() -> i64 {
    Timestamp::now().micros() - i64::try_from(OLD.as_micros()).expect("ten minutes")
}

impl Told {
    fn nothing() -> Self {
        Self { run: Uuid::new_v4(), count: 0 }
    }
}

#[derive(Debug, Clone, Copy)]
struct Passed {
    time: ClusterTime,
    /// How often the stream was read to its end.
    ends: u64,
}

impl Default for Progress {
    fn default() -> Self {
        let time = ClusterTime { time: 0, increment: 0 };
        let shown =
            Shown { heads: LruCache::sparse(HEADS), time, last: VecDeque::new(), told: Told::nothing() };
        Self {
            shown: Mutex::new(shown),
            latest: AtomicI64::new(0),
            passed: watch::Sender::new(Passed { time, ends: 0 }),
        }
    }
}

impl Progress {
    /// The next published events will be up to this time.
    pub(super) fn will_reach(&self, time: ClusterTime) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).time = time;
    }

    /// These events were published, with these orders.
    pub(super) fn shown(&self, events: &[Event], orders: &[i64]) {
        if events.is_empty() {
            return;
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for (event, order) in events.iter().zip(orders.iter().copied()) {
            self.latest.fetch_max(order, Ordering::Relaxed);
            shown.heads.put(event.conversation.clone(), event.seq);
            if shown.last.len() == LAST {
                shown.last.pop_front();
            }
            shown.last.push_back(Last {
                conversation: event.conversation.clone(),
                sender: event.sender.clone(),
                position: (order, event.id),
            });
            shown.told.count += 1;
        }
        let time = shown.time;
        drop(shown);
        self.passed.send_modify(|passed| passed.time = time);
    }

    /// A writer must assign a higher order than this: then consecutive events have increasing orders, although the clocks of two processes
    /// differ (Kulkarni et al., "Logical Physical Clocks", 2014).
    pub(super) fn latest(&self) -> i64 {
        self.latest.load(Ordering::Relaxed)
    }

    /// Events may have been missed.
    pub(super) fn restart(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        (shown.told, shown.last) = (Told::nothing(), VecDeque::new());
    }

    /// What was published up to now.
    pub(super) fn told(&self) -> Told {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).told
    }

    /// Whether everything published since then is still remembered.
    pub(super) fn remembers(&self, since: Told) -> bool {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).first_since(since).is_some()
    }

    /// Events for a user that are missing in a page by a plan, although they belong to it or to an earlier one: those published since the
    /// previous page, and those published since the plan was made that are after the previous page. Also what was published up to now.
    /// `None` if that is no longer known.
    pub(super) fn late(
        &self,
        user: &UserName,
        planned: Told,
        (after, told): (Position, Option<Told>),
        end: Position,
    ) -> Option<(HashSet<Uuid>, Told)> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let planned = shown.first_since(planned)?;
        let told = told.map_or(Some(shown.last.len()), |told| shown.first_since(told))?;
        let first = planned.min(told);
        let late = shown.last.range(first..).enumerate().filter(|(n, last)| {
            let is_missing = first + n >= told || last.position > after;
            is_missing && last.position <= end && is_incoming(&last.conversation, &last.sender, user)
        });
        Some((late.map(|(_, last)| last.position.1).collect(), shown.told))
    }

    /// The stream was read to its end.
    pub(super) fn read_to_the_end(&self) {
        self.passed.send_modify(|passed| passed.ends += 1);
    }

    /// Waits until these events, which were just read, are published, and everything up to the ends of these logs, which were read before
    /// them. Returns whether they are.
    pub(super) async fn has_shown<'e>(
        &self,
        collections: &Collections,
        read: impl Iterator<Item = (&'e Event, i64)> + Clone,
        heads: &[(ConversationId, u64)],
    ) -> bool {
        if !self.may_come(read.clone()) {
            return true;
        }
        let settled = tokio::time::timeout(TIMEOUT, self.settled(collections)).await.unwrap_or(false);
        if settled {
            let read = read.map(|(event, _)| (&event.conversation, event.seq));
            self.note(heads.iter().map(|(conversation, seq)| (conversation, *seq)).chain(read));
        } else {
            tracing::debug!("the change stream stands still; what was read may come again");
        }
        settled
    }

    /// These logs were published up to there.
    fn note<'c>(&self, heads: impl Iterator<Item = (&'c ConversationId, u64)>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for (conversation, seq) in heads {
            match shown.heads.get_mut(conversation) {
                Some(head) => *head = seq.max(*head),
                None => _ = shown.heads.put(conversation.clone(), seq),
            }
        }
    }

    fn may_come<'e>(&self, mut read: impl Iterator<Item = (&'e Event, i64)>) -> bool {
        let since = long_ago();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        read.any(|(event, order)| {
            order > since && shown.heads.get(&event.conversation).is_none_or(|head| *head < event.seq)
        })
    }

    async fn settled(&self, collections: &Collections) -> bool {
        // Any query will do. A newly elected primary considers the end of what it knows to be with a majority the end of everything; once
        // it answers this, that includes what was read before.
        let question = collections.find(&collections.counters, doc! { "_id": "streams" }, None);
        if question.await.is_err() {
            return false;
        }
        let (mut passed, now) = (self.passed.subscribe(), collections.clock().now());
        // The first end may belong to an earlier request.
        let ends = passed.borrow().ends + 2;
        // Cannot fail otherwise: `self` owns the sender.
        let _ =
            passed.wait_for(|passed| passed.ends >= ends || now.is_some_and(|now| passed.time > now)).await;
        true
    }
}

impl Shown {
    /// The index of the first remembered event published since then.
    fn first_since(&self, since: Told) -> Option<usize> {
        let count = self.told.count.checked_sub(since.count).filter(|_| since.run == self.told.run)?;
        self.last.len().checked_sub(usize::try_from(count).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn what_came_between_is_known_as_far_back_as_it_is_remembered() {
        let progress = Progress::default();
        let begun = progress.told();
        let (first, second) = (sample::event(1), sample::event(2));
        let (user, end) = (sample::name("bob"), (second.at.micros(), second.id));
        let orders = [&first, &second].map(|event| event.at.micros());
        progress.shown(&[first.clone(), second.clone()], &orders);
        let start = (0, Uuid::nil());
        let ids = |since, end| progress.late(&user, since, (start, Some(since)), end).map(|(late, _)| late);
        assert_eq!(ids(begun, end), Some(HashSet::from([first.id, second.id])));
        assert_eq!(ids(begun, (first.at.micros() - 1, Uuid::max())), Some(HashSet::new()), "it comes later");
        for other in ["carol", "alice"] {
            let late = progress.late(&sample::name(other), begun, (start, None), end).unwrap();
            assert_eq!(late.0, HashSet::new(), "nothing comes in for {other}");
        }
        assert_eq!(ids(progress.told(), end), Some(HashSet::new()));
        let other = Progress::default();
        assert_eq!(ids(other.told(), end), None, "another process");

        let now = progress.told();
        let late = |planned, after, told| progress.late(&user, planned, (after, told), end).unwrap().0;
        assert_eq!(late(begun, start, None), HashSet::from([first.id, second.id]));
        let behind = (first.at.micros(), first.id);
        assert_eq!(late(begun, behind, None), HashSet::from([second.id]), "it was in the page before");
        assert_eq!(late(begun, behind, Some(now)), HashSet::from([second.id]), "the plan does not hold it");
        assert_eq!(
            late(now, behind, Some(begun)),
            HashSet::from([first.id, second.id]),
            "the page before did not"
        );
        assert_eq!(late(now, behind, Some(now)), HashSet::new());

        let since = progress.told();
        (0..LAST).for_each(|_| progress.shown(std::slice::from_ref(&second), &orders[1..]));
        assert!(ids(since, end).is_some());
        assert_eq!(ids(begun, end), None, "so much came since");
        progress.restart();
        assert_eq!(ids(since, end), None, "something may have been missed");
    }
}
