//! Handles the end of a process: whether it was requested, what follows, and whether it is a repeated crash.

use std::time::Instant;

use super::ended::End;
use super::{Action, Component, Phase, Then, later};
use crate::spec::{EndsAll, Launch, RestartWhen};

/// From this number on, equal consecutive crashes are reported as such.
const SAME: u32 = 3;

/// The backoff of repeated crashes grows by this many steps more.
const SAME_PENALTY: i32 = 3;

impl Component {
    /// Whether the same crash was repeated.
    pub(crate) fn is_same_crash(&self) -> bool {
        self.same_crashes >= SAME
    }

    /// The process and its descendants have ended, or it could not be started.
    pub(in crate::machine) fn on_exit(&mut self, now: Instant, end: End, unit: f64, out: &mut Vec<Action>) {
        self.credit(now);
        let then = match &self.phase {
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unready { .. } => Then::Own,
            Phase::Stopping { then, .. } => then.clone(),
            Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Scheduled
            | Phase::Finished
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => return,
        };
        self.pid = None;
        self.status_text = None;
        match then {
            Then::Stay => self.rest(&end.how, out),
            Then::Start => self.enter(Phase::Waiting, &end.how, out),
            Then::Crash(reason) => self.end_of_its_own(now, End::failure(reason), unit, out),
            Then::Own | Then::Rest => self.end_of_its_own(now, end, unit, out),
        }
        self.run_queued(out);
    }

    /// Why everything is to stop after this end; `None` if it continues.
    pub(in crate::machine) fn ends_all(&self) -> Option<String> {
        match (self.spec.ends_all, &self.phase) {
            (EndsAll::GivenUp | EndsAll::Ended, Phase::Failed { reason }) => Some(reason.clone()),
            (EndsAll::Ended, Phase::Finished) => Some(self.note.clone().unwrap_or_default()),
            (
                EndsAll::Never | EndsAll::GivenUp | EndsAll::Ended,
                Phase::Waiting
                | Phase::Starting { .. }
                | Phase::Ready { .. }
                | Phase::Unready { .. }
                | Phase::Stopping { .. }
                | Phase::Backoff { .. }
                | Phase::Scheduled
                | Phase::Finished
                | Phase::Stopped
                | Phase::Failed { .. }
                | Phase::Skipped { .. },
            ) => None,
        }
    }

    /// The last line that an incarnation wrote has arrived; it may say more than the exit code. `print` is equal for equal
    /// crashes.
    pub(in crate::machine) fn on_last_words(
        &mut self,
        line: Option<&str>,
        print: Option<u64>,
        unit: f64,
        out: &mut Vec<Action>,
    ) {
        if let Some(line) = line {
            let reason = if let Phase::Failed { reason } = &mut self.phase { Some(reason) } else { None };
            for text in self.last_error.iter_mut().chain(reason) {
                text.push_str(": ");
                text.push_str(line);
            }
        }
        let again = print.is_some() && print == self.last_print;
        self.same_crashes =
            if again { self.same_crashes.saturating_add(1) } else { u32::from(print.is_some()) };
        self.last_print = print;
        if self.same_crashes == SAME {
            self.lengthen(unit, out);
        }
    }

    /// Whether the last crash was that of this incarnation.
    pub(crate) fn has_crashed_in(&self, epoch: u64) -> bool {
        self.crashed.is_some_and(|(crashed, _)| crashed == epoch)
    }

    /// A repeated crash is likely to be repeated again.
    fn lengthen(&mut self, unit: f64, out: &mut Vec<Action>) {
        let wait = self.budget.lengthen(&self.spec.restart, SAME_PENALTY, unit);
        if let (Phase::Backoff { until }, Some((_, crashed_at)), Some(wait)) =
            (&self.phase, self.crashed, wait)
        {
            let until = later(crashed_at, wait).max(*until);
            self.enter(Phase::Backoff { until }, "the same crash has come three times in a row", out);
            self.set_alarm(until, out);
        }
    }

    /// It ended without being asked to.
    fn end_of_its_own(&mut self, now: Instant, end: End, unit: f64, out: &mut Vec<Action>) {
        let when = self.spec.restart.when;
        if end.clean && (self.is_oneshot() || when != RestartWhen::Always) {
            let note = format!("finished: {}", end.how);
            self.enter(Phase::Finished, &note, out);
            self.note = Some(note);
            return;
        }
        self.crashed = Some((self.epoch, now));
        self.last_error = Some(end.how.clone());
        if end.config_error {
            let reason = format!("configuration error: {}", end.how);
            return self.give_up(reason, out);
        }
        if when == RestartWhen::Never {
            return self.give_up(format!("its restart policy forbids a restart; it {}", end.how), out);
        }
        match self.budget.grant(now, &self.spec.restart, self.has_served(now), unit) {
            Some(delay) => {
                let until = later(now, delay);
                self.enter(Phase::Backoff { until }, &end.how, out);
                self.set_alarm(until, out);
            }
            None => {
                let window = kit::duration::format(self.spec.restart.window);
                let restarts = self.spec.restart.intensity;
                let how = &end.how;
                self.give_up(
                    format!("gave up after {restarts} restarts within {window}; the last time it {how}"),
                    out,
                );
            }
        }
    }

    /// Whether the incarnation that has ended was ready and did not crash at its start: it lived for at least the first backoff.
    fn has_served(&self, now: Instant) -> bool {
        self.ready_after.is_some() && now.saturating_duration_since(self.started) >= self.spec.restart.base
    }

    fn give_up(&mut self, reason: String, out: &mut Vec<Action>) {
        let why = reason.clone();
        self.enter(Phase::Failed { reason }, &why, out);
    }

    /// It is not wanted any more; a reload may have set the reason.
    fn rest(&mut self, why: &str, out: &mut Vec<Action>) {
        let phase = match &self.spec.launch {
            Launch::Command { .. } => Phase::Stopped,
            Launch::Skip { reason } => Phase::Skipped { reason: reason.clone() },
        };
        self.enter(phase, why, out);
    }
}
