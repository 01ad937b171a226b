//! The life of one component. Pure: it is told the time and what happened, and says what to do.
//!
//! ```text
//!            needs ready          READY=1
//!  Waiting ───────────▶ Starting ─────────▶ Ready
//!     ▲                  │  │ too late        │
//!     │ in time     exit │  └──▶ Stopping ◀───┤ stop, restart
//!     └───── Backoff ◀───┴───────── │ ────────┘ exit
//!               │ too often         └──▶ Waiting │ Stopped
//!               └──▶ Failed
//! ```
//!
//! A process is an *incarnation* with an epoch of its own; what comes from an earlier one is dropped by its epoch. An alarm
//! belongs to the state that set it; one that rings in a later state is told by its token and dropped.

use std::time::{Duration, Instant};

use super::budget::Budget;
use super::{Action, Verb};
use crate::supervisor::exit::ProcessExit;
use crate::supervisor::spec::{ComponentSpec, Launch};
use crate::supervisor::status::State;

/// How long a killed process may take to be gone. Only a process stuck in the kernel needs more than milliseconds.
const KILL_PATIENCE: Duration = Duration::from_secs(3);

/// What a component does now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Phase {
    /// Its needs are not ready.
    Waiting,
    /// Its process was asked for at `since`.
    Starting { since: Instant },
    /// Its process has served since then.
    Ready { since: Instant },
    /// Its process was told to end, and is killed `until` then; `killed` once it was.
    Stopping { then: Then, until: Instant, killed: bool },
    /// Started again then.
    Backoff { until: Instant },
    /// Not wanted.
    Stopped,
    /// Given up.
    Failed { reason: String },
    /// Never wanted.
    Skipped { reason: String },
}

/// What follows a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing.
    Stay,
    /// A start.
    Start,
    /// What follows a crash, for this reason.
    Crash(String),
}

/// One component.
#[derive(Debug, Clone)]
pub(crate) struct Component {
    pub(crate) spec: ComponentSpec,
    pub(crate) phase: Phase,
    /// The number of the present or last incarnation; 0 before the first.
    pub(crate) epoch: u64,
    pub(crate) pid: Option<u32>,
    /// Restarts after an end of its own.
    pub(crate) restarts: u32,
    pub(crate) ready_after: Option<Duration>,
    pub(crate) last_error: Option<String>,
    pub(crate) status_text: Option<String>,
    /// A reload took it out of the plan; it is forgotten once it has ended.
    pub(super) retired: bool,
    /// The incarnation whose end `last_error` tells of.
    crashed_epoch: u64,
    budget: Budget,
    /// The token of the alarm that counts.
    alarm: u64,
}

impl Component {
    pub(super) fn new(spec: ComponentSpec) -> Self {
        let phase = match &spec.launch {
            Launch::Command { .. } => Phase::Waiting,
            Launch::Skip { reason } => Phase::Skipped { reason: reason.clone() },
        };
        Self {
            spec,
            phase,
            epoch: 0,
            pid: None,
            restarts: 0,
            ready_after: None,
            last_error: None,
            status_text: None,
            retired: false,
            crashed_epoch: 0,
            budget: Budget::default(),
            alarm: 0,
        }
    }

    /// Its state, for people.
    pub(crate) fn state(&self) -> State {
        match &self.phase {
            Phase::Waiting => State::Waiting,
            Phase::Starting { .. } => State::Starting,
            Phase::Ready { .. } => State::Ready,
            Phase::Stopping { .. } => State::Stopping,
            Phase::Backoff { .. } => State::Backoff,
            Phase::Stopped => State::Stopped,
            Phase::Failed { .. } => State::Failed,
            Phase::Skipped { .. } => State::Skipped,
        }
    }

    /// Whether it has a process.
    pub(crate) fn is_alive(&self) -> bool {
        match self.phase {
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Stopping { .. } => true,
            Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => false,
        }
    }

    /// Whether others may count on it.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    /// Its needs are ready: a new incarnation.
    pub(super) fn start(&mut self, now: Instant, out: &mut Vec<Action>) {
        debug_assert_eq!(self.phase, Phase::Waiting, "only who waits is started");
        self.epoch += 1;
        self.pid = None;
        self.ready_after = None;
        self.status_text = None;
        self.enter(Phase::Starting { since: now }, out);
        self.set_alarm(now + self.spec.ready_timeout, out);
        out.push(Action::Spawn { name: self.spec.name.clone(), epoch: self.epoch });
    }

    pub(super) fn on_ready(&mut self, now: Instant, out: &mut Vec<Action>) {
        match self.phase {
            Phase::Starting { since } => {
                self.ready_after = Some(now.saturating_duration_since(since));
                self.enter(Phase::Ready { since: now }, out);
            }
            // Said twice, or too late.
            Phase::Ready { .. } | Phase::Stopping { .. } => {}
            Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => {}
        }
    }

    /// It has ended, and nothing is left of its process group; or it could not be started at all.
    pub(super) fn on_exit(
        &mut self,
        now: Instant,
        config_error: bool,
        how: String,
        unit: f64,
        out: &mut Vec<Action>,
    ) {
        let phase = std::mem::replace(&mut self.phase, Phase::Waiting);
        self.pid = None;
        self.status_text = None;
        match phase {
            Phase::Starting { .. } => self.crash(now, config_error, how, unit, out),
            Phase::Ready { since } => {
                if now.saturating_duration_since(since) >= self.spec.restart.reset_after {
                    self.budget.reset();
                }
                self.crash(now, config_error, how, unit, out);
            }
            Phase::Stopping { then: Then::Stay, .. } => self.rest(out),
            Phase::Stopping { then: Then::Start, .. } => self.wait(out),
            Phase::Stopping { then: Then::Crash(reason), .. } => self.crash(now, false, reason, unit, out),
            Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => self.phase = phase,
        }
    }

    pub(super) fn on_alarm(&mut self, now: Instant, token: u64, quitting: bool, out: &mut Vec<Action>) {
        if token != self.alarm {
            return;
        }
        match &self.phase {
            Phase::Starting { .. } => {
                let limit = kit::duration::format(self.spec.ready_timeout);
                self.stop(now, Then::Crash(format!("was not ready within {limit}")), out);
            }
            Phase::Stopping { then, killed: false, .. } => {
                let then = then.clone();
                self.kill(now, then, out);
            }
            Phase::Stopping { killed: true, .. } if quitting => {
                out.push(Action::Abandon { name: self.spec.name.clone(), epoch: self.epoch });
                self.enter(Phase::Stopped, out);
            }
            // Whatever holds it in the kernel, no second one takes its place before it is gone.
            Phase::Stopping { then, killed: true, .. } => {
                let then = then.clone();
                self.kill(now, then, out);
            }
            Phase::Backoff { .. } => {
                self.restarts = self.restarts.saturating_add(1);
                self.wait(out);
            }
            Phase::Waiting
            | Phase::Ready { .. }
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => {}
        }
    }

    pub(super) fn on_verb(&mut self, now: Instant, verb: Verb, out: &mut Vec<Action>) {
        if verb != Verb::Stop {
            self.budget.reset();
        }
        let after = if verb == Verb::Stop { Then::Stay } else { Then::Start };
        match (&mut self.phase, verb) {
            (Phase::Starting { .. } | Phase::Ready { .. }, Verb::Start) => {}
            (Phase::Starting { .. } | Phase::Ready { .. }, Verb::Stop | Verb::Restart) => {
                self.stop(now, after, out);
            }
            (Phase::Stopping { then, .. }, _) => *then = after,
            (Phase::Waiting, Verb::Start | Verb::Restart) | (Phase::Stopped, Verb::Stop) => {}
            (Phase::Waiting | Phase::Backoff { .. } | Phase::Failed { .. }, Verb::Stop) => {
                self.enter(Phase::Stopped, out);
            }
            (Phase::Backoff { .. } | Phase::Stopped | Phase::Failed { .. }, Verb::Start | Verb::Restart) => {
                self.wait(out);
            }
            (Phase::Skipped { .. }, Verb::Start | Verb::Stop | Verb::Restart) => {}
        }
    }

    /// All is to end. Whoever has a process waits for its turn to be stopped.
    pub(super) fn on_quit(&mut self, out: &mut Vec<Action>) {
        match &mut self.phase {
            Phase::Waiting | Phase::Backoff { .. } => self.enter(Phase::Stopped, out),
            Phase::Stopping { then, .. } => *then = Then::Stay,
            Phase::Starting { .. } | Phase::Ready { .. } => {}
            Phase::Stopped | Phase::Failed { .. } | Phase::Skipped { .. } => {}
        }
    }

    /// A reload gives it another spec.
    pub(super) fn replace(&mut self, now: Instant, spec: ComponentSpec, out: &mut Vec<Action>) {
        let changed = spec.config_digest != self.spec.config_digest;
        self.retired = false;
        self.spec = spec;
        if let Launch::Skip { reason } = &self.spec.launch {
            let reason = reason.clone();
            if self.is_alive() {
                self.retire(now, out);
            } else {
                self.enter(Phase::Skipped { reason }, out);
            }
        } else if matches!(self.phase, Phase::Skipped { .. }) {
            self.wait(out);
        } else if changed && self.phase != Phase::Stopped {
            self.on_verb(now, Verb::Restart, out);
        }
    }

    /// A reload has no place for it.
    pub(super) fn retire(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.on_verb(now, Verb::Stop, out);
    }

    /// Told to end, with TERM; later with KILL.
    pub(super) fn stop(&mut self, now: Instant, then: Then, out: &mut Vec<Action>) {
        let until = now + self.spec.stop_grace;
        self.enter(Phase::Stopping { then, until, killed: false }, out);
        self.set_alarm(until, out);
        out.push(Action::Terminate { name: self.spec.name.clone(), epoch: self.epoch });
    }

    /// Ended at once.
    pub(super) fn kill(&mut self, now: Instant, then: Then, out: &mut Vec<Action>) {
        let until = now + KILL_PATIENCE;
        self.enter(Phase::Stopping { then, until, killed: true }, out);
        self.set_alarm(until, out);
        out.push(Action::Kill { name: self.spec.name.clone(), epoch: self.epoch });
    }

    /// The last line that an incarnation wrote has arrived; it may say more than the exit code.
    pub(super) fn on_last_words(&mut self, epoch: u64, line: &str) {
        if epoch != self.crashed_epoch {
            return;
        }
        if let Some(error) = &mut self.last_error {
            error.push_str(": ");
            error.push_str(line);
        }
        if let Phase::Failed { reason } = &mut self.phase {
            reason.push_str(": ");
            reason.push_str(line);
        }
    }

    fn crash(&mut self, now: Instant, config_error: bool, how: String, unit: f64, out: &mut Vec<Action>) {
        self.crashed_epoch = self.epoch;
        self.last_error = Some(how.clone());
        if config_error {
            let reason = format!("its configuration is wrong: it {how}");
            return self.enter(Phase::Failed { reason }, out);
        }
        match self.budget.grant(now, &self.spec.restart, unit) {
            Some(delay) => {
                let until = now + delay;
                self.enter(Phase::Backoff { until }, out);
                self.set_alarm(until, out);
            }
            None => {
                let window = kit::duration::format(self.spec.restart.window);
                let restarts = self.spec.restart.intensity;
                let reason =
                    format!("given up after {restarts} restarts within {window}; the last time it {how}");
                self.enter(Phase::Failed { reason }, out);
            }
        }
    }

    /// Not wanted any more; a reload may have said why.
    fn rest(&mut self, out: &mut Vec<Action>) {
        let phase = match &self.spec.launch {
            Launch::Command { .. } => Phase::Stopped,
            Launch::Skip { reason } => Phase::Skipped { reason: reason.clone() },
        };
        self.enter(phase, out);
    }

    fn wait(&mut self, out: &mut Vec<Action>) {
        self.enter(Phase::Waiting, out);
    }

    /// Every change of phase goes through here: it silences the alarm of the old one.
    fn enter(&mut self, phase: Phase, out: &mut Vec<Action>) {
        self.phase = phase;
        self.alarm += 1;
        out.push(Action::Changed { name: self.spec.name.clone() });
    }

    fn set_alarm(&self, at: Instant, out: &mut Vec<Action>) {
        out.push(Action::Alarm { name: self.spec.name.clone(), token: self.alarm, at });
    }
}

/// What [`Component::on_exit`] is told of a process's end.
pub(super) fn words(exit: ProcessExit) -> (bool, String) {
    (exit.is_config_error(), exit.to_string())
}
