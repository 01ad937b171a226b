//! Scheduled sweeps, and those that an operator requests.
//!
//! Deletion cannot be undone, so a scheduled sweep requires a trustworthy clock ([`clock`]), and deletes nothing if it would delete more
//! than a tenth of all messages at once: that is the first sweep of a new rule, or a mistake. An operator confirms it with `launcher
//! retention --yes`.

mod clock;

use std::sync::Arc;
use std::time::Duration;

use protocol::api::Retention;
use protocol::{Timestamp, UserName};

use crate::retention::{plan, sweep};
use crate::service::Service;
use crate::store::{StatePut, Store, StoreError};
use clock::{ClockChecks, Verdict};

/// The interval of sweeps; also the delay of the first.
const EVERY: Duration = Duration::from_secs(600);
/// The delay after a sweep that was withheld, because counting reads the whole store.
const RETRY_WITHHELD: Duration = Duration::from_secs(3600);
/// At most one in this many messages is deleted at once.
const SHARE: u64 = 10;
/// What an operator runs to confirm.
const COMMAND: &str = "launcher retention --yes";
/// The state key of the last trusted time.
const CLOCK_KEY: &str = "clock";
/// Sweeps until the shutdown.
pub(crate) async fn run(service: Arc<Service>) {
    let sweeping = async {
        let mut checks = ClockChecks::default();
        loop {
            tokio::time::sleep(EVERY).await;
            match sweep_if_safe(&service, &mut checks, Timestamp::now()).await {
                Ok(Retention { held: Some(why), .. }) => {
                    tracing::warn!(why, "expired messages are not deleted");
                    tokio::time::sleep(RETRY_WITHHELD).await;
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
    checks: &mut ClockChecks,
    now: Timestamp,
) -> Result<Retention, StoreError> {
    let nothing = Retention::default();
    let Some(rule) = service.retention else { return Ok(nothing) };
    let store = &*service.store;
    let held = match checks.check(now, load_trusted_time(store).await?) {
        Verdict::First => {
            if load_trusted_time(store).await?.is_none() {
                store_trusted_time(store, now).await?;
            }
            return Ok(nothing);
        }
        Verdict::Jumped => return Ok(nothing),
        Verdict::FarAhead(by) => Some(format!(
            "the clock is {} days ahead of when old messages were last looked for; if it is right, say so: {COMMAND}",
            by.as_secs() / 86_400
        )),
        Verdict::Right => None,
    };
    if held.is_some() {
        return Ok(Retention { held, ..nothing });
    }
    store_trusted_time(store, now).await?;
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
    service.metrics.expired.add(usize::try_from(deleted).unwrap_or(usize::MAX));
    Ok(Retention { messages, expired, deleted, held: None })
}

/// A sweep that an operator requests: counts expired messages and, if `confirmed`, deletes them without checking the clock.
pub(crate) async fn on_request(service: &Service, confirmed: bool) -> Result<Retention, StoreError> {
    let Some(rule) = service.retention else {
        let detail = "nothing is ever deleted: store.retention-age and store.retention-count are 0";
        return Err(StoreError::refused("retention", detail));
    };
    let (store, now) = (&*service.store, Timestamp::now());
    let _one_at_a_time = service.sweeping.lock().await;
    let mut retention = plan(store, rule, now).await?;
    if confirmed {
        retention.deleted = sweep(store, rule, now).await?;
        service.metrics.expired.add(usize::try_from(retention.deleted).unwrap_or(usize::MAX));
        store_trusted_time(store, now).await?;
        tracing::warn!(retention.deleted, "deleted expired messages on the operator's request");
    }
    Ok(retention)
}

/// The owner of that state.
fn owner() -> UserName {
    UserName::parse("retention").expect("letters are a name")
}

async fn load_trusted_time(store: &dyn Store) -> Result<Option<Timestamp>, StoreError> {
    let state = store.state(&owner()).await?;
    Ok(state.get(CLOCK_KEY).and_then(serde_json::Value::as_i64).map(Timestamp::from_micros))
}

async fn store_trusted_time(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    store.put_state(StatePut::new(owner(), CLOCK_KEY, Some(&now.micros().into()))?).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreConfig;
    use crate::sample;

    const HOUR: i64 = 3_600_000_000;

    /// Twenty messages and a retention of one day.
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
        service.append((0..count).map(draft).collect(), None).await.unwrap();
    }

    /// This many days from now.
    fn in_days(days: i64) -> Timestamp {
        Timestamp::from_micros(Timestamp::now().micros() + days * 24 * HOUR)
    }

    #[tokio::test]
    async fn a_clock_that_is_far_ahead_deletes_nothing_in_this_run_nor_in_the_next() {
        let (service, _directory) = of_a_day().await;
        let mut checks = ClockChecks::default();
        let first = sweep_if_safe(&service, &mut checks, in_days(0)).await.unwrap();
        assert_eq!(first, Retention::default());
        for _ in 0..2 {
            // Each run has a clock that is 100 days ahead from its start on.
            let mut checks = ClockChecks::default();
            assert_eq!(
                sweep_if_safe(&service, &mut checks, in_days(100)).await.unwrap(),
                Retention::default()
            );
            let second = sweep_if_safe(&service, &mut checks, in_days(100)).await.unwrap();
            assert!(second.held.unwrap().contains("100 days ahead"), "nor does it get used to it");
        }
        let asked = on_request(&service, false).await.unwrap();
        assert_eq!((asked.messages, asked.deleted), (20, 0));
    }

    #[tokio::test]
    async fn more_than_a_tenth_is_deleted_only_when_an_operator_says_so() {
        let (service, _directory) = of_a_day().await;
        let mut checks = ClockChecks::default();
        sweep_if_safe(&service, &mut checks, in_days(3)).await.unwrap();
        let held = sweep_if_safe(&service, &mut checks, in_days(3)).await.unwrap();
        assert_eq!((held.expired, held.deleted), (19, 0));
        assert!(held.held.unwrap().contains("launcher retention --yes"));
        let on_request = sweep(&*service.store, service.retention.unwrap(), in_days(3)).await.unwrap();
        assert_eq!(on_request, 19);
        say(&service, 200).await;
        let few = sweep_if_safe(&service, &mut checks, in_days(3)).await.unwrap();
        assert!(few.held.is_some() && few.messages == 201, "{few:?}");
    }
}
