//! Deletes expired messages, if a retention rule is set.
//!
//! A sweep visits all conversations periodically. From the oldest message of each on, it deletes those expired under the rule, in small
//! transactions with pauses, so that a writer waits for one small transaction at most. It stops at the first message that stays, so that a
//! log has no gaps.
//!
//! Never deleted: the last message of a conversation, because the next `seq` is counted from it; messages younger than an hour, because a
//! sender may repeat one and must be told that it was stored; and, unless configured otherwise, messages that their recipient has not read.
//!
//! The schedule is in [`crate::sweeper`].

use std::time::Duration;

use protocol::api::{CursorMove, Retention};
use protocol::{ConversationId, Event, Timestamp};

use crate::config::StoreConfig;
use crate::store::{Range, Store, StoreError};

/// Messages deleted in one transaction.
const BATCH: usize = 200;
/// The pause after each transaction.
const PAUSE: Duration = Duration::from_millis(20);
/// Conversations listed at once.
const PAGE: usize = 500;
/// Younger messages never expire.
const GRACE: Duration = Duration::from_secs(3600);

/// The retention rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Messages older than this expire.
    age: Option<Duration>,
    /// Messages followed by this many later ones of the same conversation expire.
    count: Option<u64>,
    /// Whether unread messages expire.
    unseen: bool,
}

impl Rule {
    /// The configured rule, if any.
    #[must_use]
    pub fn of(config: &StoreConfig) -> Option<Self> {
        let age = (!config.retention_age.is_zero()).then_some(config.retention_age);
        let count = (config.retention_count > 0).then_some(config.retention_count);
        (age.is_some() || count.is_some()).then_some(Self { age, count, unseen: config.retention_unseen })
    }

    /// Whether a message has expired, in a log that ends at `head` and that its recipient has read up to `seen`.
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

/// Counts all messages and those that a sweep at `now` would delete.
///
/// # Errors
/// If the store cannot be read now.
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

/// Sweeps all conversations as of `now`. Returns the number of deleted messages.
///
/// # Errors
/// If the store fails; what was deleted until then stays deleted.
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

/// A conversation's log before its events are read.
struct Log<'c> {
    conversation: &'c ConversationId,
    first: u64,
    head: u64,
    cursors: Vec<CursorMove>,
}

impl<'c> Log<'c> {
    /// `None` if there are no events.
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

    /// The number of events, from the first on, that would be deleted.
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
            // The first read is of one message: most conversations have nothing to delete.
            batch = BATCH;
        }
    }

    async fn sweep(&self, store: &dyn Store, rule: Rule, now: Timestamp) -> Result<u64, StoreError> {
        let (mut removed, mut batch) = (0, 1);
        loop {
            let oldest = store.events(self.conversation, Range::After(0), batch).await?.events;
            let going = oldest.iter().take_while(|event| self.is_expired(event, rule, now));
            let Some(up_to) = going.last().map(|event| event.seq) else { return Ok(removed) };
            removed += store.delete_up_to(self.conversation, up_to).await?;
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
    fn nothing_expires_by_default() {
        assert_eq!(Rule::of(&StoreConfig::default()), None);
    }

    #[test]
    fn only_expired_messages_are_deleted() {
        // Message 5 of 10, read up to 7, sent at the epoch.
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
