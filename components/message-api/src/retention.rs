//! Lets go of old messages, where the operator wants that.
//!
//! A sweep goes through all conversations now and then. From the oldest message of each on, it removes those that the rule lets go,
//! a few in each transaction and with pauses, so that whoever writes meanwhile waits for one small transaction at most. It stops at
//! the first one that stays, so what is left of a log has no holes.
//!
//! What always stays: the last message of a conversation, for the next one's place is counted from it; what is younger than an hour,
//! for its sender may still send it again and is told by it that it was stored; and, unless the operator says otherwise, what its
//! receiver has not seen.

use std::sync::Arc;
use std::time::Duration;

use protocol::{ConversationId, Event, Timestamp};

use crate::config::StoreConfig;
use crate::service::Service;
use crate::store::{Range, Store, StoreError};

/// Between two sweeps, and before the first.
const EVERY: Duration = Duration::from_secs(600);
/// Messages that are removed in one transaction.
const BATCH: usize = 200;
/// After each of them.
const PAUSE: Duration = Duration::from_millis(20);
/// Conversations that are listed at once.
const PAGE: usize = 500;
/// Whatever the rule says, nothing younger goes.
const GRACE: Duration = Duration::from_secs(3600);

/// What may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Messages older than this.
    age: Option<Duration>,
    /// Messages that this many later ones of the same conversation follow.
    count: Option<u64>,
    /// Even where the receiver has not seen them.
    unseen: bool,
}

impl Rule {
    /// The operator's rule, where there is one.
    #[must_use]
    pub fn of(config: &StoreConfig) -> Option<Self> {
        let age = (!config.retention_age.is_zero()).then_some(config.retention_age);
        let count = (config.retention_count > 0).then_some(config.retention_count);
        (age.is_some() || count.is_some()).then_some(Self { age, count, unseen: config.retention_unseen })
    }

    /// Whether a message may go from a log that ends at `head`, at this time, when its receiver has seen the log up to `seen`.
    fn lets_go(&self, event: &Event, head: u64, seen: u64, now: Timestamp) -> bool {
        let older_than = |age: Duration| {
            let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
            event.at.micros() < now.micros().saturating_sub(age)
        };
        let unwanted = self.age.is_some_and(older_than)
            || self.count.is_some_and(|count| event.seq <= head.saturating_sub(count));
        unwanted && event.seq < head && older_than(GRACE) && (self.unseen || event.seq <= seen)
    }
}

/// Sweeps until the shutdown.
pub(crate) async fn run(service: Arc<Service>, rule: Rule) {
    let (store, metrics) = (&*service.store, &service.metrics);
    let sweeping = async {
        loop {
            tokio::time::sleep(EVERY).await;
            match sweep(store, rule, Timestamp::now()).await {
                Ok(0) => {}
                Ok(removed) => {
                    metrics.let_go.add(usize::try_from(removed).unwrap_or(usize::MAX));
                    tracing::info!(removed, "old messages were let go");
                }
                Err(error) => {
                    tracing::warn!(error = kit::failure::chain(&error), "old messages could not be let go");
                }
            }
        }
    };
    service.shutdown.run_until_cancelled(sweeping).await;
}

/// Goes through all conversations once, as if it were `now`. Answers how many messages were removed.
///
/// # Errors
/// When the store cannot do it now; what was removed until then is gone.
pub async fn sweep(store: &dyn Store, rule: Rule, now: Timestamp) -> Result<u64, StoreError> {
    let (mut removed, mut after) = (0, None);
    loop {
        let page = store.all_conversations(after.as_ref(), PAGE).await?;
        for conversation in &page {
            removed += sweep_log(store, rule, now, conversation).await?;
        }
        match page.into_iter().next_back() {
            Some(last) => after = Some(last),
            None => return Ok(removed),
        }
    }
}

async fn sweep_log(
    store: &dyn Store,
    rule: Rule,
    now: Timestamp,
    conversation: &ConversationId,
) -> Result<u64, StoreError> {
    let last = store.events(conversation, Range::Before(u64::MAX), 1).await?;
    let Some(head) = last.events.first().map(|event| event.seq) else { return Ok(0) };
    let cursors = store.cursors(conversation).await?;
    let seen = |event: &Event| {
        let own = cursors.iter().filter(|cursor| cursor.device.is_none() && cursor.user == event.destination);
        own.map(|cursor| cursor.seq).max().unwrap_or(0)
    };
    let goes = |event: &&Event| rule.lets_go(event, head, seen(event), now);
    let (mut removed, mut batch) = (0, 1);
    loop {
        // The first look is at one message only: most conversations have nothing to let go.
        let oldest = store.events(conversation, Range::After(0), batch).await?.events;
        let Some(up_to) = oldest.iter().take_while(goes).last().map(|event| event.seq) else {
            return Ok(removed);
        };
        removed += store.forget(conversation, up_to).await?;
        batch = BATCH;
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const HOUR: i64 = 3_600_000_000;

    fn rule(age: u64, count: u64, unseen: bool) -> Rule {
        let retention_age = Duration::from_secs(age * 3600);
        let config = StoreConfig {
            retention_age,
            retention_count: count,
            retention_unseen: unseen,
            ..StoreConfig::default()
        };
        Rule::of(&config).unwrap()
    }

    #[test]
    fn nothing_goes_by_default() {
        assert_eq!(Rule::of(&StoreConfig::default()), None);
    }

    #[test]
    fn what_goes_and_what_stays() {
        // Message 5 of 10, seen up to 7, said at the beginning of time.
        let (event, now) = (sample::event(5), Timestamp::from_micros(30 * HOUR));
        assert!(rule(24, 0, false).lets_go(&event, 10, 7, now), "it is older than a day");
        assert!(!rule(48, 0, false).lets_go(&event, 10, 7, now), "it is not older than two");
        assert!(rule(0, 5, false).lets_go(&event, 10, 7, now), "five came after it");
        assert!(!rule(0, 6, false).lets_go(&event, 10, 7, now), "not six");
        assert!(rule(48, 5, false).lets_go(&event, 10, 7, now), "either is enough");
        assert!(!rule(24, 5, false).lets_go(&event, 10, 4, now), "it was not seen");
        assert!(rule(24, 5, true).lets_go(&event, 10, 4, now), "that does not matter");
        assert!(!rule(24, 0, true).lets_go(&event, 5, 7, now), "it is the last");
        let soon = Timestamp::from_micros(HOUR / 2);
        assert!(!rule(0, 1, true).lets_go(&event, 10, 7, soon), "its sender may still send it again");
    }
}
