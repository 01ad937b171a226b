//! Puts together what `status` shows.

use std::time::Instant;

use super::Driver;
use crate::supervisor::machine::{Component, Phase};
use crate::supervisor::status::{ComponentStatus, Snapshot};

impl Driver {
    /// How everything is now.
    pub(super) fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        Snapshot {
            run_id: self.plan.run_id,
            launcher_pid: std::process::id(),
            started_at: self.started_at.clone(),
            stopping: self.machine.is_quitting(),
            components: self.machine.components().map(|component| self.status(component, now)).collect(),
            dependencies: self.dependencies.status(),
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
            ready_ms: component.ready_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            uptime_s: uptime,
            last_error: component.last_error.clone(),
            reason: self.machine.reason(component, now),
            status_text: component.status_text.clone(),
            required: component.spec.required,
            same_crashes: component.same_crashes,
            log: self.logs.dropped(&component.spec.name),
        }
    }
}
