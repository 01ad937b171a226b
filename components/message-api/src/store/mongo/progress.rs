//! How far the change stream has come, so that no reader of the store is told of an event before the feed.
//!
//! Whoever joins what was read to what the feed brings tells them apart by the feed's position; see
//! [`Store::events`](crate::store::Store::events). What is known of an event that was read: it was shown; or it is so old that it
//! was before this process came; or the stream is asked: it has shown all there was when it is past the server's time of then, or
//! was read to its end.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bson::{Timestamp as ClusterTime, doc};
use protocol::{ConversationId, Event, Timestamp};
use tokio::sync::watch;

use super::call;
use super::connect::Collections;
use crate::store::recent::Recent;

/// Twice this many conversations are remembered.
const HALF: usize = 8192;
/// An event that was stored this long ago was shown, unless the stream stood still. Far more than clocks differ.
const OLD: Duration = Duration::from_secs(600);
/// While the stream stands still, readers do not: the store's word then comes before the feed's, and may come twice.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the stream has shown.
#[derive(Debug)]
pub(super) struct Progress {
    shown: Mutex<Shown>,
    /// The latest time of any event that was shown.
    latest: AtomicI64,
    passed: watch::Sender<Passed>,
}

#[derive(Debug)]
struct Shown {
    heads: Recent<ConversationId, u64>,
    /// Of the last event that was taken from the stream.
    time: ClusterTime,
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
        let shown = Shown { heads: Recent::new(HALF), time };
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

    /// These were published.
    pub(super) fn shown(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            self.latest.fetch_max(event.at.micros(), Ordering::Relaxed);
            shown.heads.insert(event.conversation.clone(), event.seq);
        }
        let time = shown.time;
        drop(shown);
        self.passed.send_modify(|passed| passed.time = time);
    }

    /// Whoever writes next takes a later time than this: then events that follow each other have times that do, though the clocks of
    /// two processes differ (Kulkarni et al., "Logical Physical Clocks", 2014).
    pub(super) fn latest(&self) -> i64 {
        self.latest.load(Ordering::Relaxed)
    }

    /// Nothing was left.
    pub(super) fn read_to_the_end(&self) {
        self.passed.send_modify(|passed| passed.ends += 1);
    }

    /// Waits until these events, which were just read, are published.
    pub(super) async fn has_shown(&self, collections: &Collections, read: &[Event]) {
        if !self.may_come(read) {
            return;
        }
        if tokio::time::timeout(PATIENCE, self.settled(collections)).await.is_err() {
            tracing::debug!("the change stream stands still; what was read may come again");
        }
    }

    fn may_come(&self, read: &[Event]) -> bool {
        let since = Timestamp::now().micros() - i64::try_from(OLD.as_micros()).expect("ten minutes");
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        read.iter().any(|event| {
            event.at.micros() > since
                && shown.heads.get(&event.conversation).is_none_or(|head| *head < event.seq)
        })
    }

    async fn settled(&self, collections: &Collections) {
        let mut passed = self.passed.subscribe();
        // The first end may belong to a question that was asked before.
        let ends = passed.borrow().ends + 2;
        let now = server_time(collections).await;
        // The sender is in our hands.
        let _ =
            passed.wait_for(|passed| passed.ends >= ends || now.is_some_and(|now| passed.time > now)).await;
    }
}

/// The time of the last write that the server knows of.
async fn server_time(collections: &Collections) -> Option<ClusterTime> {
    let admin = collections.events.client().database("admin");
    let answer = call::call(async move { admin.run_command(doc! { "ping": 1 }).await }).await.ok()?;
    answer.get_timestamp("operationTime").ok()
}
