//! Reports to observers: the console, the recorder, and the service manager.

use std::time::Instant;

use super::Driver;
use super::change::{Change, ReapedProcess};
use crate::clock::ceil_seconds;
use crate::events::{Observation, Transition};
use crate::hooks::Progress;
use crate::machine::Phase;
use crate::status::Awaited;

impl Driver {
    /// Reports once that everything is ready, or that some component cannot become ready for now.
    pub(super) fn settle(&mut self) {
        // A failure is reported with the last lines, which are read a moment after the end.
        let is_open = self.unread_ends > 0 || !self.machine.is_settled();
        if self.settled || self.machine.is_quitting() || is_open {
            return;
        }
        self.settled = true;
        let snapshot = self.snapshot();
        self.service_manager.ready(&snapshot);
        self.tell(Progress::Settled(snapshot));
    }

    pub(super) fn tell_of_change(&mut self, change: Change, end: Option<ReapedProcess>) {
        let Change { at, name, epoch, from, to, why } = change;
        // A reload may have removed the component; its last change is reported anyway.
        let component = self.machine.component(&name);
        let reason = component.and_then(|component| self.machine.reason(component, Instant::now()));
        let pid = end.as_ref().map(|end| end.pid).or(component.and_then(|component| component.pid));
        let config_digest =
            component.map(|component| component.spec.config_digest.clone()).unwrap_or_default();
        tracing::info!(component = name, %from, %to, pid, why, reason, "changed");
        self.observe(Observation::Transition(Transition {
            at,
            component: name.clone(),
            epoch,
            from,
            to,
            reason: why,
            pid,
            ended: end.map(|end| end.ended),
            config_digest,
        }));
        self.tell_of_stop();
        if self.service_manager.is_connected() && !self.machine.is_quitting() {
            let snapshot = self.snapshot();
            self.service_manager.changed(&snapshot);
        }
        if self.hooks.progress.is_some() {
            self.tell(Progress::Changed(self.snapshot(), name));
        }
    }

    pub(super) fn observe(&self, observation: Observation) {
        for observer in &self.hooks.observers {
            observer.tell(observation.clone());
        }
    }

    pub(super) fn tell_of_stop(&self) {
        if self.machine.is_quitting() {
            self.tell(Progress::Stopping(self.awaited()));
        }
    }

    pub(super) fn tell(&self, progress: Progress) {
        if let Some(listener) = &self.hooks.progress {
            // The queue is full: the receiver is slow, and need not get every update.
            let _ = listener.try_send(progress);
        }
    }

    /// The components being stopped.
    pub(super) fn awaited(&self) -> Vec<Awaited> {
        let now = Instant::now();
        let stopping = self.machine.components().filter_map(|component| match &component.phase {
            Phase::Stopping { until, killed, .. } => Some(Awaited {
                killed: *killed,
                name: component.spec.name.clone(),
                pid: component.pid?,
                grandchildren: self.groups.others(component.pid?),
                seconds_left: ceil_seconds(until.saturating_duration_since(now)),
            }),
            Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Ready { .. }
            | Phase::Unready { .. }
            | Phase::Backoff { .. }
            | Phase::Scheduled
            | Phase::Finished
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => None,
        });
        stopping.collect()
    }
}
