//! Tells whoever started the launcher, such as systemd, how the whole is: `sd_notify(3)`.
//!
//! * While the components come up: `EXTEND_TIMEOUT_USEC`, so that a start is not given up that waits for a database.
//! * Once every component is up, or cannot come up for now: `READY`. With each change: `STATUS`.
//! * As often as it is asked for: `WATCHDOG`, from the thread and runtime of the driver, so that it is a sign of the driver's life.
//! * At the end: `STOPPING`, whom it waits for, and again more time.

use std::time::Duration;

use kit::Notifier;
use tokio::task::JoinHandle;

use crate::supervisor::status::{Awaited, ComponentStatus, DependencyState, Snapshot};

/// More time is asked for this often while we start.
const PERIOD: Duration = Duration::from_secs(10);
/// And so much of it that one question may be lost.
const EXTENSION: Duration = Duration::from_secs(30);

/// The way up.
#[derive(Debug)]
pub(super) struct Upward {
    notifier: Notifier,
    watchdog: JoinHandle<()>,
    /// Asks for more time until we are ready.
    patience: Option<JoinHandle<()>>,
    last: String,
}

impl Drop for Upward {
    fn drop(&mut self) {
        self.watchdog.abort();
        self.stop_asking();
    }
}

impl Upward {
    /// Begins to tell, where somebody wants to be told. Call it in the driver's runtime.
    pub(super) fn begin() -> Self {
        let notifier = Notifier::from_environment();
        // Before anything else: the first starts may keep the runtime from its tasks for a while.
        notifier.extend(EXTENSION);
        let watchdog = tokio::spawn(notifier.clone().feed_watchdog());
        let patience = notifier.is_connected().then(|| tokio::spawn(ask_for_time(notifier.clone())));
        Self { notifier, watchdog, patience, last: String::new() }
    }

    /// Whether anybody is told; otherwise there is no need to find out what.
    pub(super) fn is_connected(&self) -> bool {
        self.notifier.is_connected()
    }

    /// Everything is up, or cannot come up for now.
    pub(super) fn ready(&mut self, snapshot: &Snapshot) {
        self.stop_asking();
        self.last = summary(snapshot);
        self.notifier.ready(&self.last);
    }

    /// Something has changed.
    pub(super) fn changed(&mut self, snapshot: &Snapshot) {
        let text = summary(snapshot);
        if text != self.last {
            self.notifier.status(&text);
            self.last = text;
        }
    }

    /// The end has begun.
    pub(super) fn stopping(&mut self) {
        self.stop_asking();
        self.notifier.stopping();
    }

    /// The end takes its time.
    pub(super) fn waiting(&mut self, awaited: &[Awaited]) {
        let longest = awaited.iter().map(|one| one.seconds_left).max().unwrap_or(0);
        self.notifier.extend(EXTENSION.max(Duration::from_secs(longest)));
        let names: Vec<&str> = awaited.iter().map(|one| one.name.as_str()).collect();
        self.notifier.status(&format!("stopping: waiting for {}", names.join(", ")));
    }

    fn stop_asking(&mut self) {
        if let Some(patience) = self.patience.take() {
            patience.abort();
        }
    }
}

async fn ask_for_time(notifier: Notifier) {
    loop {
        tokio::time::sleep(PERIOD).await;
        notifier.extend(EXTENSION);
    }
}

/// How the whole is, in one line. A dependency that has not answered yet is no news.
fn summary(snapshot: &Snapshot) -> String {
    let component = |it: &ComponentStatus| format!("{} is {}", it.name, it.state);
    let components = snapshot.components.iter().filter(|it| !it.is_fine()).map(component);
    let degraded = snapshot.dependencies.iter().filter(|it| it.state == DependencyState::Degraded);
    let dependencies =
        degraded.map(|it| format!("{} {}", it.name, it.reason.as_deref().unwrap_or("is degraded")));
    let parts: Vec<String> = components.chain(dependencies).collect();
    if parts.is_empty() { "healthy".to_owned() } else { parts.join("; ") }
}
