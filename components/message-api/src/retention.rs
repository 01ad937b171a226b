//! Lets go of old messages, where the operator wants that.
//!
//! A sweep goes through all conversations now and then. From the oldest message of each on, it removes those that the rule lets go,
//! a few in each transaction and with pauses, so that whoever writes meanwhile waits for one small transaction at most. It stops at
//! the first one that stays, so what is left of a log has no holes.
//!
//! What always stays: the last message of a conversation, for the next one's place is counted from it; what is younger than an hour,
//! for its sender may still send it again and is told by it that it was stored; and, unless the operator says otherwise, what its
//! receiver has not seen.
//!
//! What is deleted by mistake is gone, so a sweep of its own accord needs a clock that can be believed ([`clock`]), and deletes nothing
//! where more than a tenth of all messages would go at once: that is the first sweep of a new rule, or a mistake. An operator says that
//! it is right with `launcher retention --yes`.

mod clock;

use std::sync::Arc;
use std::time::Duration;

use protocol::api::{CursorMove, Retention};
use protocol::{ConversationId, Event, Timestamp, UserName};

use crate::config::StoreConfig;
use crate::service::Service;
use crate::store::{Range, StatePut, Store, StoreError};
use clock::{Looks, Opinion};

/// Between two sweeps, and before the first.
const EVERY: Duration = Duration::from_secs(600);
/// After a sweep that was held back, for counting reads what it counts.
const HELD: Duration = Duration::from_secs(3600);
/// One in so many messages may be deleted at once.
const SHARE: u64 = 10;
/// What an operator does about it.
const COMMAND: &str = "launcher retention --yes";
/// The key of the last look at the clock that was believed.
const LOOK: &str = "clock";
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
pub(crate) async fn run(service: Arc<Service>) {
    let sweeping = async {
        let mut looks = Looks::default();
        loop {
            tokio::time::sleep(EVERY).await;
            match sweep_if_safe(&service, &mut looks, Timestamp::now()).await {
                Ok(Retention { held: Some(why), .. }) => {
                    tracing::warn!(why, "expired messages are not deleted");
                    tokio::time::sleep(HELD).await;
                }
                Ok(Retention { deleted, .. }) if deleted > 0 => {
                    tracing::info!(deleted, "deleted expired messages");
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = kit::failure::chain(&error), "cannot delete expired messages");
                }
            }
        }
    };
    service.shutdown.run_until_cancelled(sweeping).await;
}

async fn sweep_if_safe(
    service: &Service,
    looks: &mut Looks,
    now: Timestamp,
) -> Result<Retention, StoreError> {
    let nothing = Retention::default();
    let Some(rule) = service.retention else { return Ok(nothing) };
    let store = &*service.store;
    let held = match looks.look(now, kept(store).await?) {
        Opinion::First => {
            if kept(store).await?.is_none() {
                keep(store, now).await?;
            }
            return Ok(nothing);
        }
        Opinion::Jumped => return Ok(nothing),
        Opinion::FarAhead(by) => Some(format!(
            "the clock is {} days ahead of when old messages were last looked for; if it is right, say so: {COMMAND}",
            by.as_secs() / 86_400
        )),
        Opinion::Right => None,
    };
    if held.is_some() {
        return Ok(Retention { held, ..nothing });
    }
    keep(store, now).await?;
    let _one_at_a_time = service.sweeping.lock().await;
    let Retention { messages, expired, .. } = plan(store, rule, now).await?;
    if expired.saturating_mul(SHARE) > messages {
        let why = format!(
            "{expired} of {messages} messages are old, which is more than {} % at once; if that is right, say so: {COMMAND}",
            100 / SHARE
        );
        return Ok(Retention { messages, expired, held: Some(why), ..nothing });
    }
    let deleted = if expired == 0 { 0 } else { sweep(store, rule, now).await? };
    service.metrics.let_go.add(usize::try_from(deleted).unwrap_or(usize::MAX));
    Ok(Retention { messages, expired, deleted, held: None })
}

/// What an operator asks for: how many messages are old, and, with `confirmed`, to delete them whatever is thought of the clock.
pub(crate) async fn by_hand(service: &Service, confirmed: bool) -> Result<Retention, StoreError> {
    let Some(rule) = service.retention else {
        let detail = "nothing is ever deleted: store.retention-age and store.retention-count are 0";
        return Err(StoreError::refused("retention", detail));
    };
    let (store, now) = (&*service.store, Timestamp::now());
    let _one_at_a_time = service.sweeping.lock().await;
    let mut retention = plan(store, rule, now).await?;
    if confirmed {
        retention.deleted = sweep(store, rule, now).await?;
        service.metrics.let_go.add(usize::try_from(retention.deleted).unwrap_or(usize::MAX));
        keep(store, now).await?;
        tracing::warn!(retention.deleted, "deleted expired messages on the operator's request");
    }
    Ok(retention)
}

/// Whose state the last look at the clock is.
fn owner() -> UserName {
    UserName::parse("retention").expect("letters are a name")
}

async fn kept(store: &dyn Store) -> Result<Option<Timestamp>, StoreError> {
    let state = store.state(&owner()).await?;
    Ok(state.get(LOOK).and_then(serde_json::Value::as_i64).map(Timestamp::from_micros))
}

async fn keep(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    store.put_state(StatePut::new(owner(), LOOK, Some(&now.micros().into()))?).await
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

    fn goes(&self, event: &Event, rule: Rule, now: Timestamp) -> bool {
        let own = self.cursors.iter();
        let own = own.filter(|cursor| cursor.device.is_none() && event.is_incoming_for(&cursor.user));
        let seen = own.map(|cursor| cursor.seq).min().unwrap_or(0);
        rule.lets_go(event, self.head, seen, now)
    }

    /// How many events from the first on would be removed.
    async fn expired(&self, store: &dyn Store, rule: Rule, now: Timestamp) -> Result<u64, StoreError> {
        let (mut count, mut after, mut batch) = (0, 0, 1);
        loop {
            let page = store.events(self.conversation, Range::After(after), batch).await?;
            let going = page.events.iter().take_while(|event| self.goes(event, rule, now)).count();
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
            let going = oldest.iter().take_while(|event| self.goes(event, rule, now));
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

    /// Twenty messages, which are kept for a day.
    async fn of_a_day() -> (Service, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            retention_age: Duration::from_secs(86_400),
            retention_unseen: true,
            ..StoreConfig::default()
        };
        let service = sample::service(directory.path(), &config).await;
        say(&service, 20).await;
        (service, directory)
    }

    async fn say(service: &Service, count: u32) {
        let (from, to) = (sample::name("alice"), sample::name("bob"));
        let draft =
            |n: u32| protocol::Draft::chat(from.clone(), &to, protocol::Body::parse(&n.to_string()).unwrap());
        service.append((0..count).map(draft).collect()).await.unwrap();
    }

    /// So long after now, by the clock.
    fn in_days(days: i64) -> Timestamp {
        Timestamp::from_micros(Timestamp::now().micros() + days * 24 * HOUR)
    }

    #[tokio::test]
    async fn a_clock_that_is_far_ahead_deletes_nothing_in_this_run_nor_in_the_next() {
        let (service, _directory) = of_a_day().await;
        let mut looks = Looks::default();
        let first = sweep_if_safe(&service, &mut looks, in_days(0)).await.unwrap();
        assert_eq!(first, Retention::default());
        for _ in 0..2 {
            // Each is another run, with a clock 100 days ahead from its start on.
            let mut looks = Looks::default();
            assert_eq!(
                sweep_if_safe(&service, &mut looks, in_days(100)).await.unwrap(),
                Retention::default()
            );
            let second = sweep_if_safe(&service, &mut looks, in_days(100)).await.unwrap();
            assert!(second.held.unwrap().contains("100 days ahead"), "nor does it get used to it");
        }
        let asked = by_hand(&service, false).await.unwrap();
        assert_eq!((asked.messages, asked.deleted), (20, 0));
    }

    #[tokio::test]
    async fn more_than_a_tenth_is_deleted_only_when_an_operator_says_so() {
        let (service, _directory) = of_a_day().await;
        let mut looks = Looks::default();
        sweep_if_safe(&service, &mut looks, in_days(3)).await.unwrap();
        let held = sweep_if_safe(&service, &mut looks, in_days(3)).await.unwrap();
        assert_eq!((held.expired, held.deleted), (19, 0));
        assert!(held.held.unwrap().contains("launcher retention --yes"));
        let by_hand = sweep(&*service.store, service.retention.unwrap(), in_days(3)).await.unwrap();
        assert_eq!(by_hand, 19);
        say(&service, 200).await;
        let few = sweep_if_safe(&service, &mut looks, in_days(3)).await.unwrap();
        assert!(few.held.is_some() && few.messages == 201, "{few:?}");
    }
}
