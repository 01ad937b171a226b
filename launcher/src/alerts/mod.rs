//! Tells others what happens to the components: a program of the operator's (`launcher.on-event`) and a webhook (`launcher.webhook`).
//!
//! The life of an event: the supervisor puts what it observes into a bounded queue and never waits; [`Watcher`] makes an [`Alert`] of what is
//! worth one; it is put into the [`Backlog`] of the program and into that of the webhook; a task for each of the two takes one after
//! the other and delivers it within a time limit. A program or a server that hangs holds up its own backlog only, whose oldest
//! alerts are then dropped and counted.

mod alert;
mod backlog;
mod hook;
mod spell;
mod watcher;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::supervisor::AlertSpec;
use crate::supervisor::events::{self, Observations, Observer};

pub use hook::Surroundings;

use alert::Alert;
use backlog::Backlog;
use watcher::Watcher;

/// Observations that may wait; they are taken out at once.
const WAITING: usize = 1024;

/// How long the last alerts may take once everything is stopped.
const CLOSE: Duration = Duration::from_secs(2);

/// Changes who is told.
#[derive(Debug)]
pub struct AlertSettings(watch::Sender<AlertSpec>);

impl AlertSettings {
    /// Tells these from now on.
    pub fn set(&self, spec: &AlertSpec) {
        self.0.send_if_modified(|old| {
            let is_new = old != spec;
            old.clone_from(spec);
            is_new
        });
    }
}

/// Those who tell.
#[derive(Debug)]
pub struct Alerts(JoinHandle<()>);

impl Alerts {
    /// Begins to tell, in the runtime that calls this.
    #[must_use]
    pub fn start(spec: AlertSpec, around: Surroundings) -> (Self, AlertSettings, Observer) {
        let (observer, observations) = events::channel(WAITING);
        let (settings, spec) = watch::channel(spec);
        (Self(tokio::spawn(tell(observations, spec, around))), AlertSettings(settings), observer)
    }

    /// Waits until the last alerts are told, now that the supervisor has ended; not for ever. What is left then ends.
    pub async fn finish(mut self) {
        if tokio::time::timeout(CLOSE, &mut self.0).await.is_err() {
            tracing::warn!("the last events were not delivered to launcher.on-event or launcher.webhook");
        }
        self.0.abort();
    }
}

async fn tell(mut observations: Observations, spec: watch::Receiver<AlertSpec>, around: Surroundings) {
    let (to_program, to_webhook) = (Arc::new(Backlog::default()), Arc::new(Backlog::default()));
    // Dropped with this task, it ends both.
    let mut tellers = JoinSet::new();
    tellers.spawn(hook::tell(Arc::clone(&to_program), spec.clone(), around.clone()));
    tellers.spawn(webhook::tell(Arc::clone(&to_webhook), spec.clone()));
    let mut watcher = Watcher::new(around.run_id);
    let put = |alerts: Vec<Alert>| {
        let spec = spec.borrow();
        for alert in alerts {
            if !spec.program.is_empty() {
                to_program.put(alert.clone());
            }
            if spec.webhook.is_some() {
                to_webhook.put(alert);
            }
        }
    };
    while let Some(observation) = observations.next().await {
        put(watcher.take(observation));
    }
    put(watcher.finish());
    to_program.close();
    to_webhook.close();
    while tellers.join_next().await.is_some() {}
}
