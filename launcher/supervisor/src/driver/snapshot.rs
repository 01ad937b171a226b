//! Collects the status.

use std::time::{Duration, Instant};

use super::Driver;
use crate::machine::{Component, Phase};
use crate::status::{ComponentStatus, Snapshot};

impl Driver {
    /// The current state of everything.
    pub(super) fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        Snapshot {
            run_id: self.plan.run_id,
            launcher_pid: std::process::id(),
            started_at: self.started_at.clone(),
            stopping: self.machine.is_quitting(),
            logs: std::path::absolute(&self.plan.logs).unwrap_or_default(),
            components: self.machine.components().map(|component| self.status(component, now)).collect(),
            dependencies: self.dependencies.status(),
            groups: self.plan.groups.clone(),
            awaited: self.awaited(),
            console: self.plan.launcher.console.as_ref().map(|console| console.listen.to_string()),
            load: None,
        }
    }

    fn status(&self, component: &Component, now: Instant) -> ComponentStatus {
        let uptime = match component.phase {
            Phase::Ready { since } => Some(now.saturating_duration_since(since).as_secs()),
            Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Unready { .. }
            | Phase::Stopping { .. }
            | Phase::Backoff { .. }
            | Phase::Scheduled
            | Phase::Finished
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => None,
        };
        ComponentStatus {
            name: component.spec.name.clone(),
            state: component.state(),
            pid: component.pid,
            address: component.spec.address.clone(),
            restarts: component.restarts,
            ready_ms: component.ready_after.map(milliseconds),
            uptime_s: uptime,
            last_error: component.last_error.clone(),
            reason: self.machine.reason(component, now),
            needs: component.spec.needs.clone(),
            waits_for: self.machine.unmet(component).cloned().collect(),
            next_try_ms: next_try(component, now).map(milliseconds),
            status_text: component.status_text.clone(),
            required: component.spec.required,
            autostart: component.spec.autostart,
            limits: self
                .incarnations
                .get(&component.spec.name)
                .map(|it| it.limits.clone())
                .unwrap_or_default(),
            same_crashes: component.same_crashes,
            log: self.logs.dropped(&component.spec.name),
            liveness: self.liveness.get(&component.spec.name).and_then(|liveness| liveness.status(now)),
            schedule: self.schedules.status(component),
            load: None,
        }
    }
}

/// The time until it is restarted.
fn next_try(component: &Component, now: Instant) -> Option<Duration> {
    match component.phase {
        Phase::Backoff { until } => Some(until.saturating_duration_since(now)),
        Phase::Waiting
        | Phase::Starting { .. }
        | Phase::Ready { .. }
        | Phase::Unready { .. }
        | Phase::Stopping { .. }
        | Phase::Scheduled
        | Phase::Finished
        | Phase::Stopped
        | Phase::Failed { .. }
        | Phase::Skipped { .. } => None,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
