//! Whether messages can be stored and read now, and why not: what `/readyz` answers, and what the supervisor is told.
//!
//! Three things are known: how the last write went, whether what was read lately was damaged, and what the last check of the whole
//! store found. They come from what everybody asks of the store ([`Observed`](crate::observed::Observed)) and from [`watch`], which
//! tries the store where nobody else does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kit::Notifier;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::store::{Store, StoreError};

/// How often the store is tried while nobody writes. With [`PATIENCE`], a store that hangs is known within four seconds.
const EVERY: Duration = Duration::from_secs(1);
/// A store that takes longer is not ready, whatever it answers in the end.
const PATIENCE: Duration = Duration::from_secs(3);
/// A trial is smaller than a message, and may find room where a message did not: while messages failed this lately it proves nothing.
const UNPROVED: Duration = Duration::from_secs(5);
/// What was found damaged is said for this long: whoever looks once a minute sees it.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Between two checks of the whole store, which read all of it.
const BETWEEN_CHECKS: Duration = Duration::from_secs(600);

/// What is known.
#[derive(Debug)]
pub(crate) struct Health {
    state: Mutex<State>,
    notifier: Notifier,
}

#[derive(Debug, Default)]
struct State {
    /// What the supervisor is told when all is well.
    serving: Option<String>,
    stored_at: Option<Instant>,
    /// Why the last write failed.
    write: Option<String>,
    /// When a message could not be stored.
    refused_at: Option<Instant>,
    /// Why no message is taken, where the disk is nearly full.
    full: Option<String>,
    /// What was found damaged, and when.
    damage: Option<(Instant, String)>,
    /// What the last check of the whole store found.
    check: Option<String>,
    wants_check: bool,
    /// What the supervisor was told last.
    told: Option<String>,
}

impl State {
    fn reason(&self) -> Option<&String> {
        let damage = self.damage.as_ref().filter(|(at, _)| at.elapsed() < REMEMBERED);
        self.write.as_ref().or(self.full.as_ref()).or(self.check.as_ref()).or(damage.map(|(_, what)| what))
    }
}

impl Health {
    pub(crate) fn new(notifier: Notifier) -> Self {
        Self { state: Mutex::default(), notifier }
    }

    /// Requests are answered from now on; `text` says where.
    pub(crate) fn serving(&self, text: &str) {
        self.lock().serving = Some(text.to_owned());
        self.notifier.ready(text);
        self.tell();
    }

    /// Why the store cannot be used, where it cannot.
    pub(crate) fn reason(&self) -> Option<String> {
        self.lock().reason().cloned()
    }

    /// Messages were stored.
    pub(crate) fn stored(&self) {
        self.lock().refused_at = None;
        self.wrote();
    }

    /// Messages could not be stored.
    pub(crate) fn not_stored(&self, error: &StoreError) {
        if matches!(error, StoreError::Unavailable { .. }) {
            self.lock().refused_at = Some(Instant::now());
        }
        self.failed(error);
    }

    /// The store was tried.
    fn tried(&self, answer: Result<(), StoreError>) {
        let is_unproved = self.lock().refused_at.is_some_and(|at| at.elapsed() < UNPROVED);
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
            self.tell();
        }
    }

    fn failed(&self, error: &StoreError) {
        match error {
            StoreError::Refused { .. } | StoreError::Full { .. } | StoreError::Limited { .. } => return,
            StoreError::Damaged { .. } => return self.damaged(error),
            StoreError::Unavailable { .. } => self.lock().write = Some(kit::failure::chain(error)),
        }
        self.tell();
    }

    /// The store does not answer. What a write said of it before is more than that.
    fn hangs(&self) {
        let hangs = format!("the store has not answered for {} seconds", PATIENCE.as_secs());
        self.lock().write.get_or_insert(hangs);
        self.tell();
    }

    /// Whether the disk is nearly full, and how much is left.
    pub(crate) fn disk(&self, full: Option<String>) {
        self.lock().full = full;
        self.tell();
    }

    /// What was read is not what was written.
    pub(crate) fn damaged(&self, error: &StoreError) {
        let mut state = self.lock();
        state.damage = Some((Instant::now(), kit::failure::chain(error)));
        state.wants_check = true;
        drop(state);
        self.tell();
    }

    /// Nobody closed the store before it was opened.
    pub(crate) fn was_left_open(&self) {
        self.lock().wants_check = true;
    }

    fn checked(&self, found: Option<String>) {
        self.lock().check = found;
        self.tell();
    }

    /// Tells the supervisor, and the log, what is news.
    fn tell(&self) {
        let mut state = self.lock();
        let reason = state.reason().cloned();
        let Some(serving) = state.serving.clone().filter(|_| reason != state.told) else { return };
        state.told.clone_from(&reason);
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

/// Tries the store once a second, and checks all of it where there is a reason to.
pub(crate) async fn watch(health: Arc<Health>, store: Arc<dyn Store>, shutdown: CancellationToken) {
    let checking = check_where_needed(&health, &*store);
    let trying = async {
        loop {
            tokio::time::sleep(EVERY).await;
            let wrote_lately = health.lock().stored_at.is_some_and(|at| at.elapsed() < EVERY);
            if !wrote_lately {
                try_once(&health, &*store).await;
            }
            health.tell();
        }
    };
    let both = async { tokio::join!(checking, trying) };
    let _ = shutdown.run_until_cancelled(both).await;
}

/// One question at a time: a store that hangs is not asked again before it has answered.
async fn try_once(health: &Health, store: &dyn Store) {
    let mut answer = store.probe();
    let answered = if let Ok(answered) = tokio::time::timeout(PATIENCE, &mut answer).await {
        answered
    } else {
        health.hangs();
        answer.await
    };
    health.tried(answered);
}

async fn check_where_needed(health: &Health, store: &dyn Store) {
    loop {
        if std::mem::take(&mut health.lock().wants_check) {
            check(health, store).await;
            tokio::time::sleep(BETWEEN_CHECKS).await;
        }
        tokio::time::sleep(EVERY).await;
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
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(health.reason(), None);
        health.checked(Some("page 7".to_owned()));
        assert_eq!(health.reason().unwrap(), "page 7");
    }

    #[tokio::test(start_paused = true)]
    async fn that_something_small_finds_room_is_no_proof_while_messages_do_not() {
        let health = Health::new(Notifier::default());
        health.serving("here");
        health.tried(Err(unavailable("hangs")));
        health.tried(Ok(()));
        assert_eq!(health.reason(), None, "no message failed");
        health.not_stored(&unavailable("no room"));
        health.tried(Ok(()));
        assert_eq!(health.reason().unwrap(), "no room");
        tokio::time::advance(UNPROVED).await;
        health.tried(Ok(()));
        assert_eq!(health.reason(), None);
        health.not_stored(&unavailable("no room"));
        health.stored();
        assert_eq!(health.reason(), None, "a message was stored");
    }
}
