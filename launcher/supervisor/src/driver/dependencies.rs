//! Checks external dependencies periodically, and remembers since when each has been available or not.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::clock::{self, STANDSTILL};
use crate::spec::External;
use crate::status::{DependencyState, DependencyStatus};

/// Results in the queue to the driver; the checks wait while it is full.
const ANSWERS: usize = 16;

/// The result of a check.
#[derive(Debug)]
pub(super) struct Probed {
    pub(super) name: String,
    pub(super) result: Result<(), String>,
}

/// The dependencies, each with the task that checks it.
#[derive(Debug)]
pub(super) struct Dependencies {
    answers: mpsc::Sender<Probed>,
    watched: BTreeMap<String, Watched>,
}

#[derive(Debug)]
struct Watched {
    status: DependencyStatus,
    task: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Dependencies {
    /// Starts the checks.
    pub(super) fn watch(externals: &[External]) -> (Self, mpsc::Receiver<Probed>) {
        let (answers, answered) = mpsc::channel(ANSWERS);
        let mut dependencies = Self { answers, watched: BTreeMap::new() };
        dependencies.replace(externals);
        (dependencies, answered)
    }

    /// Replaces the set of dependencies. Those that stay keep their state.
    pub(super) fn replace(&mut self, externals: &[External]) {
        let mut old = std::mem::take(&mut self.watched);
        for external in externals {
            let status = old.remove(&external.name).map(|watched| watched.status.clone());
            let status = status.unwrap_or_else(|| unknown(&external.name));
            let task = tokio::spawn(ask(external.clone(), self.answers.clone()));
            self.watched.insert(external.name.clone(), Watched { status, task });
        }
    }

    /// Records a result; a change is logged.
    pub(super) fn note(&mut self, probed: Probed) {
        let Some(Watched { status, .. }) = self.watched.get_mut(&probed.name) else { return };
        let (state, reason) = match probed.result {
            Ok(()) => (DependencyState::Ok, None),
            Err(reason) => (DependencyState::Degraded, Some(reason)),
        };
        if state != status.state {
            status.since = clock::rfc3339();
            tracing::info!(dependency = status.name, ?state, reason, "changed");
        }
        status.state = state;
        status.reason = reason;
    }

    /// The state of each dependency.
    pub(super) fn status(&self) -> Vec<DependencyStatus> {
        self.watched.values().map(|watched| watched.status.clone()).collect()
    }
}

fn unknown(name: &str) -> DependencyStatus {
    DependencyStatus {
        name: name.to_owned(),
        state: DependencyState::Unknown,
        since: clock::rfc3339(),
        reason: None,
    }
}

async fn ask(external: External, answers: mpsc::Sender<Probed>) {
    let mut period = tokio::time::interval(External::PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        let asked = Instant::now();
        let answer = tokio::time::timeout(External::DEADLINE, (external.check)()).await;
        if answer.is_err() && asked.elapsed() >= External::DEADLINE + STANDSTILL {
            // This process was suspended, so the result may be of that time.
            continue;
        }
        let late = || Err(format!("does not answer within {} s", External::DEADLINE.as_secs()));
        let probed = Probed { name: external.name.clone(), result: answer.unwrap_or_else(|_| late()) };
        if answers.send(probed).await.is_err() {
            return;
        }
    }
}
