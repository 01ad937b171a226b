//! How far the change stream has come, so that no reader of the store is told of an event before the feed.
//!
//! Whoever joins what was read to what the feed brings tells them apart by the feed's position; see
//! [`Store::events`](crate::store::Store::events). What is known of an event that was read: it was shown; or it is so old that it
//! was before this process came; or the stream is asked: it has shown all there was when it is past the server's time of then, or
//! was read to its end.
//!
//! The last events are also remembered one by one, for whoever reads in several steps and must know what came between.

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

use super::connect::Collections;

/// So many conversations are remembered, the ones used last.
const HEADS: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();
/// Events that are remembered one by one: more than come between two pages that are read one after the other.
const LAST: usize = 8192;
/// An event that was stored this long ago was shown, unless the stream stood still, and no other is given such a time any more. Far
/// more than clocks differ.
const OLD: Duration = Duration::from_secs(600);
/// While the stream stands still, readers do not: the store's word then comes before the feed's, and may come twice.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the stream has shown.
#[derive(Debug)]
pub(super) struct Progress {
    shown: Mutex<Shown>,
    /// The last place of any event that was shown.
    latest: AtomicI64,
    passed: watch::Sender<Passed>,
}

#[derive(Debug)]
struct Shown {
    heads: LruCache<ConversationId, u64>,
    /// Of the last event that was taken from the stream.
    time: ClusterTime,
    /// Bound: [`LAST`]. Overflow: the oldest goes, and [`Progress::late`] cannot tell of it.
    last: VecDeque<Last>,
    told: Told,
}

/// An event that was shown not long ago.
#[derive(Debug)]
struct Last {
    /// The name key of the user to whom it was said.
    receiver: Option<String>,
    order: i64,
    id: Uuid,
}

/// How many events one stream has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// Which stream: another process has another one, and so has whoever may have missed events.
    pub(super) run: Uuid,
    pub(super) count: u64,
}

/// The time before which nothing happens any more.
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
    /// The next events to be shown end at this time.
    pub(super) fn will_reach(&self, time: ClusterTime) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).time = time;
    }

    /// These were published, with these places in the order of all.
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
                receiver: event.dm_receiver().map(str::to_owned),
                order,
                id: event.id,
            });
            shown.told.count += 1;
        }
        let time = shown.time;
        drop(shown);
        self.passed.send_modify(|passed| passed.time = time);
    }

    /// Whoever writes next takes a later place than this: then events that follow each other have places that do, though the clocks of
    /// two processes differ (Kulkarni et al., "Logical Physical Clocks", 2014).
    pub(super) fn latest(&self) -> i64 {
        self.latest.load(Ordering::Relaxed)
    }

    /// Events may have been missed.
    pub(super) fn restart(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        (shown.told, shown.last) = (Told::nothing(), VecDeque::new());
    }

    /// What was shown up to now.
    pub(super) fn told(&self) -> Told {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).told
    }

    /// What was shown since then for this user and does not come after a place in the order of times, and what was shown up to now.
    /// `None` where that is no longer known.
    pub(super) fn late(
        &self,
        since: Told,
        user: &UserName,
        end: (i64, Uuid),
    ) -> Option<(HashSet<Uuid>, Told)> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let count = shown.told.count.checked_sub(since.count).filter(|_| since.run == shown.told.run)?;
        let first = shown.last.len().checked_sub(usize::try_from(count).ok()?)?;
        let news = shown.last.range(first..);
        let late =
            news.filter(|last| last.receiver.as_deref() == Some(user.key()) && (last.order, last.id) <= end);
        Some((late.map(|last| last.id).collect(), shown.told))
    }

    /// Nothing was left.
    pub(super) fn read_to_the_end(&self) {
        self.passed.send_modify(|passed| passed.ends += 1);
    }

    /// Waits until these events, which were just read, are published. Answers whether they are.
    pub(super) async fn has_shown<'e>(
        &self,
        collections: &Collections,
        read: impl Iterator<Item = (&'e Event, i64)>,
    ) -> bool {
        if !self.may_come(read) {
            return true;
        }
        let settled = tokio::time::timeout(PATIENCE, self.settled(collections)).await.unwrap_or(false);
        if !settled {
            tracing::debug!("the change stream stands still; what was read may come again");
        }
        settled
    }

    fn may_come<'e>(&self, mut read: impl Iterator<Item = (&'e Event, i64)>) -> bool {
        let since = long_ago();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        read.any(|(event, order)| {
            order > since && shown.heads.get(&event.conversation).is_none_or(|head| *head < event.seq)
        })
    }

    async fn settled(&self, collections: &Collections) -> bool {
        // Of whatever. A primary that was just elected takes the end of what it knows a majority to have for the end of everything;
        // when it answers this, that holds what was read before.
        let question = collections.find(&collections.counters, doc! { "_id": "streams" }, None);
        if question.await.is_err() {
            return false;
        }
        let (mut passed, now) = (self.passed.subscribe(), collections.clock.now());
        // The first end may belong to a question that was asked before.
        let ends = passed.borrow().ends + 2;
        // The sender is in our hands.
        let _ =
            passed.wait_for(|passed| passed.ends >= ends || now.is_some_and(|now| passed.time > now)).await;
        true
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
        let ids = |since, end| progress.late(since, &user, end).map(|(late, _)| late);
        assert_eq!(ids(begun, end), Some(HashSet::from([first.id, second.id])));
        assert_eq!(ids(begun, (first.at.micros() - 1, Uuid::max())), Some(HashSet::new()), "it comes later");
        assert_eq!(progress.late(begun, &sample::name("carol"), end).unwrap().0, HashSet::new());
        assert_eq!(ids(progress.told(), end), Some(HashSet::new()));
        let other = Progress::default();
        assert_eq!(ids(other.told(), end), None, "another process");

        let since = progress.told();
        (0..LAST).for_each(|_| progress.shown(std::slice::from_ref(&second), &orders[1..]));
        assert!(ids(since, end).is_some());
        assert_eq!(ids(begun, end), None, "so much came since");
        progress.restart();
        assert_eq!(ids(since, end), None, "something may have been missed");
    }
}
