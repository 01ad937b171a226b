//! Deletes expired messages, where the operator wants that.
//!
//! A sweep goes through all conversations now and then. From the oldest message of each on, it removes those that have expired by the rule,
//! a few in each transaction and with pauses, so that whoever writes meanwhile waits for one small transaction at most. It stops at
//! the first one that stays, so what is left of a log has no holes.
//!
//! What always stays: the last message of a conversation, for the next one's place is counted from it; what is younger than an hour,
//! for its sender may still send it again and is told by it that it was stored; and, unless the operator says otherwise, what its
//! receiver has not seen.
//!
//! When it is done: [`crate::sweeper`].

use std::time::Duration;

use protocol::api::{CursorMove, Retention};
use protocol::{ConversationId, Event, Timestamp};

use crate::config::StoreConfig;
use crate::store::{Range, Store, StoreError};

/// Messages that are removed in one transaction.
const BATCH: usize = 200;
/// After each of them.
const PAUSE: Duration = Duration::from_millis(20);
/// Conversations that are listed at once.
const PAGE: usize = 500;
/// Nothing younger expires, whatever the rule says.
const GRACE: Duration = Duration::from_secs(3600);

/// Which messages expire.
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

    /// Whether a message has expired by now, in a log that ends at `head` and that its receiver has seen up to `seen`.
    fn has_expired(&self, event: &Event, head: u64, seen: u64, now: Timestamp) -> bool {
        let older_than = |age: Duration| {
            let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
            event.at.micros() < now.micros().saturating_sub(age)
        };
        let unwanted = self.age.is_some_and(older_than)
            || self.count.is_some_and(|count| event.seq <= head.saturating_sub(count));
        unwanted && event.seq < head && older_than(GRACE) && (self.unseen || event.seq <= seen)
    }
}

/// Goes through all conversations once, as if it were `now`, and counts: how many messages there are, and how many a sweep would delete.
///
/// # Errors
/// When the store cannot be read now.
pub async fn plan(store: &dyn Store, rule: Rule, now: Timestamp) -> Result<Retention, StoreError> {
    let (mut planned, mut after) = (Retention::default(), None);
    loop {
        let page = store.all_conversations(after.as_ref(), PAGE).await?;
        for conversation in &page {
            let Some(log) = Log::read(store, conversation).await? else { continue };
            planned.messages += log.head + 1 - log.first;
            planned.expired += log.expired(store, rule, now).await?;
        }
        match page.into_iter().next_back() {
            Some(last) => after = Some(last),
            None => return Ok(planned),
        }
    }
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
            if let Some(log) = Log::read(store, conversation).await? {
                removed += log.sweep(store, rule, now).await?;
            }
        }
        match page.into_iter().next_back() {
            Some(last) => after = Some(last),
            None => return Ok(removed),
        }
    }
}

/// What is known of a conversation's log before its events are looked at.
struct Log<'c> {
    conversation: &'c ConversationId,
    first: u64,
    head: u64,
    cursors: Vec<CursorMove>,
}

impl<'c> Log<'c> {
    /// `None` where there are no events.
    async fn read(store: &dyn Store, conversation: &'c ConversationId) -> Result<Option<Self>, StoreError> {
        let last = store.events(conversation, Range::Before(u64::MAX), 1).await?;
        let first = store.events(conversation, Range::After(0), 1).await?;
        let (Some(first), Some(last)) = (first.events.first(), last.events.first()) else { return Ok(None) };
        let cursors = store.cursors(conversation).await?;
        Ok(Some(Self { conversation, first: first.seq, head: last.seq, cursors }))
    }

    fn is_expired(&self, event: &Event, rule: Rule, now: Timestamp) -> bool {
        let own = self.cursors.iter();
        let own = own.filter(|cursor| cursor.device.is_none() && event.is_incoming_for(&cursor.user));
        let seen = own.map(|cursor| cursor.seq).min().unwrap_or(0);
        rule.has_expired(event, self.head, seen, now)
    }

    /// How many events from the first on would be removed.
    async fn expired(&self, store: &dyn Store, rule: Rule, now: Timestamp) -> Result<u64, StoreError> {
        let (mut count, mut after, mut batch) = (0, 0, 1);
        loop {
            let page = store.events(self.conversation, Range::After(after), batch).await?;
            let going = page.events.iter().take_while(|event| self.is_expired(event, rule, now)).count();
            count += going as u64;
            let Some(last) = page.events.last().filter(|_| going == page.events.len()) else {
                return Ok(count);
            };
            after = last.seq;
            // The first look is at one message only: most conversations have nothing to delete.
            batch = BATCH;
        }
    }

    async fn sweep(&self, store: &dyn Store, rule: Rule, now: Timestamp) -> Result<u64, StoreError> {
        let (mut removed, mut batch) = (0, 1);
        loop {
            let oldest = store.events(self.conversation, Range::After(0), batch).await?.events;
            let going = oldest.iter().take_while(|event| self.is_expired(event, rule, now));
            let Some(up_to) = going.last().map(|event| event.seq) else { return Ok(removed) };
            removed += store.forget(self.conversation, up_to).await?;
            batch = BATCH;
            tokio::time::sleep(PAUSE).await;
        }
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
        assert!(rule(24, 0, false).has_expired(&event, 10, 7, now), "it is older than a day");
        assert!(!rule(48, 0, false).has_expired(&event, 10, 7, now), "it is not older than two");
        assert!(rule(0, 5, false).has_expired(&event, 10, 7, now), "five came after it");
        assert!(!rule(0, 6, false).has_expired(&event, 10, 7, now), "not six");
        assert!(rule(48, 5, false).has_expired(&event, 10, 7, now), "either is enough");
        assert!(!rule(24, 5, false).has_expired(&event, 10, 4, now), "it was not seen");
        assert!(rule(24, 5, true).has_expired(&event, 10, 4, now), "that does not matter");
        assert!(!rule(24, 0, true).has_expired(&event, 5, 7, now), "it is the last");
        let soon = Timestamp::from_micros(HOUR / 2);
        assert!(!rule(0, 1, true).has_expired(&event, 10, 7, soon), "its sender may still send it again");
    }
}
