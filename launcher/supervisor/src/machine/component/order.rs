//! Handles orders for a component: of the operator, of a reload, or to stop everything.

use std::time::Instant;

use super::{Action, Component, Phase, Then, first_phase};
use crate::machine::Verb;
use crate::spec::{ComponentSpec, Launch};

impl Component {
    pub(in crate::machine) fn on_verb(&mut self, now: Instant, verb: Verb, why: &str, out: &mut Vec<Action>) {
        if verb != Verb::Stop {
            self.forget_crashes();
        }
        if verb == Verb::Stop {
            self.queued = false;
        }
        let after = if verb == Verb::Stop { Then::Stay } else { Then::Start };
        match (&mut self.phase, verb) {
            (Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unready { .. }, Verb::Start) => {}
            (
                Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unready { .. },
                Verb::Stop | Verb::Restart,
            ) => self.stop(now, after, why, out),
            (Phase::Stopping { then: Then::Own, .. }, Verb::Stop | Verb::Restart) => {
                self.stop(now, after, why, out);
            }
            (Phase::Stopping { then, .. }, _) => *then = after,
            (Phase::Waiting, Verb::Start | Verb::Restart) | (Phase::Stopped, Verb::Stop) => {}
            (Phase::Stopped, Verb::Start) if self.spec.schedule.is_some() => {
                self.enter(Phase::Scheduled, why, out)
            }
            (
                Phase::Waiting
                | Phase::Backoff { .. }
                | Phase::Scheduled
                | Phase::Finished
                | Phase::Failed { .. },
                Verb::Stop,
            ) => {
                self.enter(Phase::Stopped, why, out);
            }
            (
                Phase::Backoff { .. }
                | Phase::Scheduled
                | Phase::Finished
                | Phase::Stopped
                | Phase::Failed { .. },
                Verb::Start | Verb::Restart,
            ) => {
                self.enter(Phase::Waiting, why, out);
            }
            (Phase::Skipped { .. }, Verb::Start | Verb::Stop | Verb::Restart) => {}
        }
    }

    /// A file of it has changed: who runs, or would if it could, runs anew. What the operator has stopped stays so, and what waits for its
    /// time on the clock does.
    pub(in crate::machine) fn on_touched(&mut self, now: Instant, why: &str, out: &mut Vec<Action>) {
        let is_wanted = match &self.phase {
            Phase::Stopping { then, .. } => *then != Then::Stay,
            Phase::Finished | Phase::Failed { .. } => self.spec.schedule.is_none(),
            Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Ready { .. }
            | Phase::Unready { .. }
            | Phase::Backoff { .. } => true,
            Phase::Scheduled | Phase::Stopped | Phase::Skipped { .. } => false,
        };
        if is_wanted && !self.retired {
            self.on_verb(now, Verb::Restart, why, out);
        }
    }

    /// Whether it runs again only when the operator wants it, whatever its configuration becomes.
    pub(in crate::machine) fn stays_down(&self) -> bool {
        let is_scheduled = self.spec.schedule.is_some();
        matches!(self.phase, Phase::Stopped | Phase::Scheduled | Phase::Finished)
            || is_scheduled && matches!(self.phase, Phase::Failed { .. })
    }

    pub(super) fn forget_crashes(&mut self) {
        self.budget.reset();
        self.same_crashes = 0;
        self.last_print = None;
    }

    /// Everything is to stop. A component with a process waits for its turn.
    pub(in crate::machine) fn on_quit(&mut self, out: &mut Vec<Action>) {
        self.queued = false;
        match &mut self.phase {
            Phase::Waiting | Phase::Backoff { .. } => {
                self.enter(Phase::Stopped, "everything is stopped", out)
            }
            Phase::Stopping { then, .. } => *then = Then::Stay,
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unready { .. } => {}
            Phase::Scheduled
            | Phase::Finished
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => {}
        }
    }

    /// A reload replaces its spec.
    pub(in crate::machine) fn replace(&mut self, now: Instant, spec: ComponentSpec, out: &mut Vec<Action>) {
        let why = "configuration changed";
        let was_retired = std::mem::take(&mut self.retired);
        let changed = was_retired || spec.config_digest != self.spec.config_digest;
        let was_scheduled = self.spec.schedule.is_some();
        self.spec = spec;
        if let Launch::Skip { reason } = &self.spec.launch {
            let reason = reason.clone();
            if self.is_alive() {
                self.on_verb(now, Verb::Stop, &reason, out);
            } else if !matches!(self.phase, Phase::Skipped { .. }) {
                let why = reason.clone();
                self.enter(Phase::Skipped { reason }, &why, out);
            } else {
                self.phase = Phase::Skipped { reason };
            }
        } else if matches!(self.phase, Phase::Skipped { .. }) {
            let phase = first_phase(&self.spec);
            self.enter(phase, why, out);
        } else if self.phase == Phase::Scheduled && self.spec.schedule.is_none() {
            self.enter(Phase::Waiting, why, out);
        } else if self.phase == Phase::Waiting
            && self.epoch == 0
            && !was_scheduled
            && self.spec.schedule.is_some()
        {
            self.enter(Phase::Scheduled, why, out);
        } else if changed && !self.stays_down() {
            self.on_verb(now, Verb::Restart, why, out);
        }
    }

    /// A reload removes it.
    pub(in crate::machine) fn retire(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.on_verb(now, Verb::Stop, "no longer in the configuration", out);
    }
}
