//! Reports the overall state to the launcher's service manager, such as systemd: `sd_notify(3)`.
//!
//! * While components start: `EXTEND_TIMEOUT_USEC`, so that a start that waits for a database is not aborted.
//! * Once every component is ready, or cannot become ready for now: `READY`. With each change: `STATUS`.
//! * As often as requested: `WATCHDOG`, from the driver's thread and runtime, so that it proves that the driver works.
//! * At the end: `STOPPING`, what it waits for, and requests for more time.

use std::time::Duration;

use kit::Notifier;
use tokio::task::JoinHandle;

use crate::status::{Awaited, ComponentStatus, DependencyState, Snapshot};

/// The interval of requests for more time during the start.
const PERIOD: Duration = Duration::from_secs(10);
/// The time requested, so that one request may be lost.
const EXTENSION: Duration = Duration::from_secs(30);

/// The connection to the service manager.
#[derive(Debug)]
pub(super) struct ServiceManager {
    notifier: Notifier,
    watchdog: JoinHandle<()>,
    /// Requests more time until everything is ready.
    time_requests: Option<JoinHandle<()>>,
    last: String,
}

impl Drop for ServiceManager {
    fn drop(&mut self) {
        self.watchdog.abort();
        self.stop_asking();
    }
}

impl ServiceManager {
    /// Connects, if there is a service manager. Must be called in the driver's runtime.
    pub(super) fn begin() -> Self {
        let notifier = Notifier::from_environment();
        // First of all, because the first starts may occupy the runtime for a while.
        notifier.extend(EXTENSION);
        let watchdog = tokio::spawn(notifier.clone().feed_watchdog());
        let time_requests = notifier.is_connected().then(|| tokio::spawn(ask_for_time(notifier.clone())));
        Self { notifier, watchdog, time_requests, last: String::new() }
    }

    /// Whether there is a service manager; otherwise the reports need not be made.
    pub(super) fn is_connected(&self) -> bool {
        self.notifier.is_connected()
    }

    /// Everything is ready, or cannot become ready for now.
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

    /// The stop has begun.
    pub(super) fn stopping(&mut self) {
        self.stop_asking();
        self.notifier.stopping();
    }

    /// The stop takes time.
    pub(super) fn waiting(&mut self, awaited: &[Awaited]) {
        let longest = awaited.iter().map(|one| one.seconds_left).max().unwrap_or(0);
        self.notifier.extend(EXTENSION.max(Duration::from_secs(longest)));
        let names: Vec<&str> = awaited.iter().map(|one| one.name.as_str()).collect();
        self.notifier.status(&format!("stopping: waiting for {}", names.join(", ")));
    }

    fn stop_asking(&mut self) {
        if let Some(time_requests) = self.time_requests.take() {
            time_requests.abort();
        }
    }
}

async fn ask_for_time(notifier: Notifier) {
    loop {
        tokio::time::sleep(PERIOD).await;
        notifier.extend(EXTENSION);
    }
}

/// The overall state in one line. A dependency that has not been checked yet is omitted.
fn summary(snapshot: &Snapshot) -> String {
    let component = |it: &ComponentStatus| format!("{} is {}", it.name, it.state);
    let components = snapshot.components.iter().filter(|it| !it.is_fine()).map(component);
    let degraded = snapshot.dependencies.iter().filter(|it| it.state == DependencyState::Degraded);
    let dependencies =
        degraded.map(|it| format!("{} {}", it.name, it.reason.as_deref().unwrap_or("is degraded")));
    let parts: Vec<String> = components.chain(dependencies).collect();
    if parts.is_empty() { "healthy".to_owned() } else { parts.join("; ") }
}
