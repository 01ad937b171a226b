//! Runs by the clock: what follows when one is due, and when the one before is not over.

use super::{Action, Component, Phase, Then};
use crate::spec::Overlap;

/// Why it is started.
const DUE: &str = "its schedule says so";

impl Component {
    /// Its time has come.
    pub(in crate::machine) fn on_due(&mut self, out: &mut Vec<Action>) {
        if self.retired || self.spec.schedule.is_none() {
            return;
        }
        match &self.phase {
            Phase::Scheduled | Phase::Finished | Phase::Failed { .. } => self.run_now(DUE, out),
            Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Ready { .. }
            | Phase::Unready { .. }
            | Phase::Backoff { .. }
            | Phase::Stopping { then: Then::Start | Then::Crash(_) | Then::Own | Then::Rest, .. } => {
                self.overlap(out)
            }
            Phase::Stopping { then: Then::Stay, .. } | Phase::Stopped | Phase::Skipped { .. } => {}
        }
    }

    /// A run is over: the one that waited for that begins.
    pub(super) fn run_queued(&mut self, out: &mut Vec<Action>) {
        match self.phase {
            Phase::Finished | Phase::Failed { .. } if self.queued => {
                self.run_now("the run that waited for the one before begins", out);
            }
            Phase::Stopped | Phase::Skipped { .. } => self.queued = false,
            Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Ready { .. }
            | Phase::Unready { .. }
            | Phase::Stopping { .. }
            | Phase::Backoff { .. }
            | Phase::Scheduled
            | Phase::Finished
            | Phase::Failed { .. } => {}
        }
    }

    fn run_now(&mut self, why: &str, out: &mut Vec<Action>) {
        self.queued = false;
        self.forget_crashes();
        self.enter(Phase::Waiting, why, out);
    }

    fn overlap(&mut self, out: &mut Vec<Action>) {
        let overlap = self.spec.schedule.as_ref().map(|schedule| schedule.overlap).unwrap_or_default();
        let why = match overlap {
            Overlap::Queue if !self.queued => {
                self.queued = true;
                "its time has come, and the run before is not over: it runs once more after that"
            }
            Overlap::Queue | Overlap::Skip => {
                self.skipped_runs = self.skipped_runs.saturating_add(1);
                "its time has come, and the run before is not over: this one is skipped"
            }
        };
        let (name, epoch, state) = (self.spec.name.clone(), self.epoch, self.state());
        out.push(Action::Changed { name, epoch, from: state, to: state, why: why.to_owned() });
    }
}
