//! Whether messages can be stored and read now, and if not, why: the answer of `/readyz` and the status for the supervisor.
//!
//! Three inputs: the last write, damage found while reading, and the last check of the whole store. They come from the requests of all
//! users ([`ObservedStore`](crate::observed::ObservedStore)) and from [`watch`], which probes the store while nobody writes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kit::Notifier;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::store::{Store, StoreError};

/// The interval of probes while nobody writes. With [`TIMEOUT`], a store that hangs is detected within four seconds.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// A store that takes longer is not ready, whatever it answers later.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A probe is smaller than a message and may succeed where a message fails, so it proves nothing if a message failed this recently.
const PROBE_INCONCLUSIVE: Duration = Duration::from_secs(5);
/// Damage is reported for this long, so that a monitor that asks once a minute sees it.
const DAMAGE_REPORTED: Duration = Duration::from_secs(60);
/// The interval of checks of the whole store, which read all of it.
const CHECK_INTERVAL: Duration = Duration::from_secs(600);

/// The health of the store.
#[derive(Debug)]
pub(crate) struct Health {
    state: Mutex<State>,
    notifier: Notifier,
}

#[derive(Debug, Default)]
struct State {
    /// The status for the supervisor while the store works.
    serving: Option<String>,
    stored_at: Option<Instant>,
    /// Why the last write failed.
    write: Option<String>,
    /// When a message could not be stored.
    rejected_at: Option<Instant>,
    /// Why no message is accepted, if the disk is nearly full.
    full: Option<String>,
    /// The damage found, and when.
    damage: Option<(Instant, String)>,
    /// The result of the last check of the whole store.
    check: Option<String>,
    wants_check: bool,
    /// The status last reported to the supervisor.
    reported: Option<String>,
}

impl State {
    fn reason(&self) -> Option<&String> {
        let damage = self.damage.as_ref().filter(|(at, _)| at.elapsed() < DAMAGE_REPORTED);
        self.write.as_ref().or(self.full.as_ref()).or(self.check.as_ref()).or(damage.map(|(_, what)| what))
    }
}

impl Health {
    pub(crate) fn new(notifier: Notifier) -> Self {
        Self { state: Mutex::default(), notifier }
    }

    /// Requests are answered from now on at the address in `text`.
    pub(crate) fn serving(&self, text: &str) {
        self.lock().serving = Some(text.to_owned());
        self.notifier.ready(text);
        self.report();
    }

    /// Changes the status while the store works.
    pub(crate) fn serves(&self, text: &str) {
        let mut state = self.lock();
        state.serving = Some(text.to_owned());
        if state.reported.is_none() {
            self.notifier.status(text);
        }
    }

    /// Why the store cannot be used, if it cannot.
    pub(crate) fn reason(&self) -> Option<String> {
        self.lock().reason().cloned()
    }

    /// Messages were stored.
    pub(crate) fn stored(&self) {
        self.lock().rejected_at = None;
        self.wrote();
    }

    /// Messages could not be stored.
    pub(crate) fn not_stored(&self, error: &StoreError) {
        if matches!(error, StoreError::Unavailable { .. }) {
            self.lock().rejected_at = Some(Instant::now());
        }
        self.failed(error);
    }

    /// The result of a probe.
    fn probed(&self, answer: Result<(), StoreError>) {
        let is_unproved = self.lock().rejected_at.is_some_and(|at| at.elapsed() < PROBE_INCONCLUSIVE);
        match answer {
            Ok(()) if is_unproved => {}
            Ok(()) => self.wrote(),
            Err(error) => self.failed(&error),
        }
    }

    fn wrote(&self) {
        let mut state = self.lock();
        state.stored_at = Some(Instant::now());
        if state.write.take().is_some() {
            drop(state);
            self.report();
        }
    }

    fn failed(&self, error: &StoreError) {
        match error {
            StoreError::Refused { .. } | StoreError::Full { .. } | StoreError::Limited { .. } => return,
            StoreError::Damaged { .. } => return self.damaged(error),
            StoreError::Unavailable { .. } => self.lock().write = Some(kit::failure::chain(error)),
        }
        self.report();
    }

    /// The store does not answer. The error of an earlier write says more than that.
    fn no_answer(&self) {
        let no_answer = format!("the store has not answered for {} seconds", TIMEOUT.as_secs());
        self.lock().write.get_or_insert(no_answer);
        self.report();
    }

    /// Sets the reason for rejecting messages if the disk is nearly full.
    pub(crate) fn disk(&self, full: Option<String>) {
        self.lock().full = full;
        self.report();
    }

    /// Damaged data was read.
    pub(crate) fn damaged(&self, error: &StoreError) {
        let mut state = self.lock();
        state.damage = Some((Instant::now(), kit::failure::chain(error)));
        state.wants_check = true;
        drop(state);
        self.report();
    }

    /// The store was not closed by its previous process.
    pub(crate) fn was_not_closed(&self) {
        self.lock().wants_check = true;
    }

    fn checked(&self, found: Option<String>) {
        self.lock().check = found;
        self.report();
    }

    /// Reports changes to the supervisor and to the log.
    fn report(&self) {
        let mut state = self.lock();
        let reason = state.reason().cloned();
        let Some(serving) = state.serving.clone().filter(|_| reason != state.reported) else { return };
        state.reported.clone_from(&reason);
        drop(state);
        match reason {
            Some(reason) => {
                tracing::error!(reason, "not ready: messages cannot be stored or read");
                self.notifier.unready(&reason);
            }
            None => {
                tracing::info!("ready again");
                self.notifier.ready(&serving);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Probes the store once a second, and checks all of it if there is a reason to.
pub(crate) async fn watch(health: Arc<Health>, store: Arc<dyn Store>, shutdown: CancellationToken) {
    let checking = check_where_needed(&health, &*store);
    let trying = async {
        loop {
            tokio::time::sleep(PROBE_INTERVAL).await;
            let wrote_lately = health.lock().stored_at.is_some_and(|at| at.elapsed() < PROBE_INTERVAL);
            if !wrote_lately {
                try_once(&health, &*store).await;
            }
            health.report();
        }
    };
    let both = async { tokio::join!(checking, trying) };
    let _ = shutdown.run_until_cancelled(both).await;
}

/// One probe at a time: a store that hangs is not probed again before it has answered.
async fn try_once(health: &Health, store: &dyn Store) {
    let mut answer = store.probe();
    let answered = if let Ok(answered) = tokio::time::timeout(TIMEOUT, &mut answer).await {
        answered
    } else {
        health.no_answer();
        answer.await
    };
    health.probed(answered);
}

async fn check_where_needed(health: &Health, store: &dyn Store) {
    loop {
        if std::mem::take(&mut health.lock().wants_check) {
            check(health, store).await;
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
}

async fn check(health: &Health, store: &dyn Store) {
    tracing::info!("checking the store: it was not closed cleanly or is damaged");
    match store.verify().await {
        Ok(problems) => match problems.first() {
            None => {
                tracing::info!("the store is intact");
                health.checked(None);
            }
            Some(first) => {
                problems.iter().for_each(|problem| tracing::error!(problem, "the store is damaged"));
                let advice = "restore a backup with 'launcher restore FILE'";
                health.checked(Some(format!("the store is damaged ({first}); {advice}")));
            }
        },
        Err(error) => tracing::warn!(error = kit::failure::chain(&error), "cannot check the store"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable(detail: &str) -> StoreError {
        StoreError::unavailable(detail)
    }

    #[tokio::test(start_paused = true)]
    async fn the_reason_is_that_of_what_matters_most_now() {
        let health = Health::new(Notifier::default());
        health.serving("here");
        assert_eq!(health.reason(), None);
        health.damaged(&StoreError::damaged("a row", std::io::Error::other("torn")));
        assert_eq!(health.reason().unwrap(), "a row: torn");
        health.not_stored(&unavailable("no room"));
        assert_eq!(health.reason().unwrap(), "no room");
        health.not_stored(&StoreError::refused("body", "too long"));
        health.stored();
        assert_eq!(health.reason().unwrap(), "a row: torn", "that something can be written repairs nothing");
        tokio::time::advance(DAMAGE_REPORTED).await;
        assert_eq!(health.reason(), None);
        health.checked(Some("page 7".to_owned()));
        assert_eq!(health.reason().unwrap(), "page 7");
    }

    #[tokio::test(start_paused = true)]
    async fn that_something_small_finds_room_is_no_proof_while_messages_do_not() {
        let health = Health::new(Notifier::default());
        health.serving("here");
        health.probed(Err(unavailable("hangs")));
        health.probed(Ok(()));
        assert_eq!(health.reason(), None, "no message failed");
        health.not_stored(&unavailable("no room"));
        health.probed(Ok(()));
        assert_eq!(health.reason().unwrap(), "no room");
        tokio::time::advance(PROBE_INCONCLUSIVE).await;
        health.probed(Ok(()));
        assert_eq!(health.reason(), None);
        health.not_stored(&unavailable("no room"));
        health.stored();
        assert_eq!(health.reason(), None, "a message was stored");
    }
}
