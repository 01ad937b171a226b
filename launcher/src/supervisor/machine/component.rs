//! The life of one component. Pure: it is told the time and what happened, and says what to do.
//!
//! ```text
//!            needs ready          READY=1          probe fails
//!  Waiting ───────────▶ Starting ─────────▶ Ready ◀──────────▶ Unready
//!     ▲                  │  │ too late        │  probe passes     │
//!     │ in time     exit │  └──▶ Stopping ◀───┴───────────────────┘ stop, restart, no sign of life
//!     └───── Backoff ◀───┴───────── │ exit
//!               │ too often         └──▶ Waiting │ Stopped
//!               └──▶ Failed
//! ```
//!
//! A process is an *incarnation* with an epoch of its own; what comes from an earlier one is dropped by its epoch. An alarm
//! belongs to the state that set it; one that rings in a later state is told by its token and dropped.

use std::time::{Duration, Instant};

use super::budget::Budget;
use super::{Action, End, Verb};
use crate::supervisor::spec::{ComponentSpec, Launch, RestartWhen};
use crate::supervisor::status::State;

/// How long a killed process may take to be gone. Only a process stuck in the kernel needs more than milliseconds.
const KILL_PATIENCE: Duration = Duration::from_secs(3);

/// A process that asks for more time to start or to stop gets at most this many times what it had: all ends.
const MAX_EXTENSION: u32 = 10;

/// From so many equal crashes in a row on it is said that they are the same.
const SAME: u32 = 3;

/// By so many crashes more the wait grows when they are.
const SAME_PENALTY: i32 = 3;

/// What a component does now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Phase {
    /// Its needs are not ready.
    Waiting,
    /// Its process was asked for at `since`.
    Starting { since: Instant },
    /// Its process has served since then.
    Ready { since: Instant },
    /// Its process lives and has served, and does not now.
    Unready { reason: String },
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
    /// What follows an end of its own: it said itself that it is ending.
    Own,
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
    /// How many times in a row it crashed in the same way.
    pub(crate) same_crashes: u32,
    /// What there is to say of it though it is not wanted.
    pub(super) note: Option<String>,
    /// A reload took it out of the plan; it is forgotten once it has ended.
    pub(super) retired: bool,
    /// When the alarm that counts rings.
    pub(super) deadline: Option<Instant>,
    /// How long the present incarnation may give no sign of life.
    watchdog: Option<Duration>,
    /// The latest that a start or a stop may be put off to.
    limit: Instant,
    /// The incarnation whose end `last_error` tells of, and when it ended.
    crashed: Option<(u64, Instant)>,
    last_print: Option<u64>,
    budget: Budget,
    /// The token of the alarm that counts.
    alarm: u64,
}

impl Component {
    pub(super) fn new(now: Instant, spec: ComponentSpec) -> Self {
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
            same_crashes: 0,
            note: None,
            retired: false,
            deadline: None,
            watchdog: None,
            limit: now,
            crashed: None,
            last_print: None,
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
            Phase::Unready { .. } => State::Unready,
            Phase::Stopping { .. } => State::Stopping,
            Phase::Backoff { .. } => State::Backoff,
            Phase::Stopped => State::Stopped,
            Phase::Failed { .. } => State::Failed,
            Phase::Skipped { .. } => State::Skipped,
        }
    }

    /// Whether it has a process.
    pub(crate) fn is_alive(&self) -> bool {
        self.is_at_work() || matches!(self.phase, Phase::Stopping { .. })
    }

    /// Whether it has a process that nobody has told to end.
    pub(super) fn is_at_work(&self) -> bool {
        match self.phase {
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unready { .. } => true,
            Phase::Waiting
            | Phase::Stopping { .. }
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

    /// Whether the same crash has come again and again.
    pub(crate) fn is_same_crash(&self) -> bool {
        self.same_crashes >= SAME
    }

    /// Its needs are ready: a new incarnation.
    pub(super) fn start(&mut self, now: Instant, out: &mut Vec<Action>) {
        debug_assert_eq!(self.phase, Phase::Waiting, "only who waits is started");
        self.epoch += 1;
        self.pid = None;
        self.ready_after = None;
        self.status_text = None;
        self.watchdog = self.spec.watchdog;
        self.limit = later(now, self.spec.ready_timeout.saturating_mul(MAX_EXTENSION));
        self.enter(Phase::Starting { since: now }, "all that it needs is ready", out);
        self.set_alarm(later(now, self.spec.ready_timeout), out);
        out.push(Action::Spawn { name: self.spec.name.clone(), epoch: self.epoch });
    }

    pub(super) fn on_ready(&mut self, now: Instant, out: &mut Vec<Action>) {
        match self.phase {
            Phase::Starting { since } => {
                self.ready_after = Some(now.saturating_duration_since(since));
                self.serve(now, out);
            }
            Phase::Unready { .. } => self.serve(now, out),
            // Said twice, or too late.
            Phase::Ready { .. } | Phase::Stopping { .. } => {}
            Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => {}
        }
    }

    fn serve(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.enter(Phase::Ready { since: now }, "it serves", out);
        self.on_sign_of_life(now, out);
    }

    /// Its readiness probe fails. Nothing is restarted for that.
    pub(super) fn on_unready(&mut self, reason: String, out: &mut Vec<Action>) {
        if self.is_ready() {
            let watched_until = self.deadline;
            let why = reason.clone();
            self.enter(Phase::Unready { reason }, &why, out);
            if let Some(until) = watched_until {
                self.set_alarm(until, out);
            }
        }
    }

    /// It must be started anew, for this reason.
    pub(super) fn on_unhealthy(&mut self, now: Instant, reason: String, out: &mut Vec<Action>) {
        if self.is_at_work() {
            let why = reason.clone();
            self.stop(now, Then::Crash(reason), &why, out);
        }
    }

    /// `WATCHDOG=1`.
    pub(super) fn on_sign_of_life(&mut self, now: Instant, out: &mut Vec<Action>) {
        if let (Phase::Ready { .. } | Phase::Unready { .. }, Some(patience)) = (&self.phase, self.watchdog) {
            let until = later(now, patience);
            let longer = self.deadline.map_or(until, |earlier| earlier.max(until));
            self.set_alarm(longer, out);
        }
    }

    /// `EXTEND_TIMEOUT_USEC`: whatever limit it is under holds for this long from now at least.
    pub(super) fn on_extend(&mut self, now: Instant, by: Duration, out: &mut Vec<Action>) {
        let limit = match &self.phase {
            Phase::Starting { .. } | Phase::Stopping { killed: false, .. } => self.limit,
            Phase::Ready { .. } | Phase::Unready { .. } => match self.watchdog {
                Some(patience) => later(now, patience.saturating_mul(MAX_EXTENSION)),
                None => return,
            },
            Phase::Stopping { killed: true, .. }
            | Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => return,
        };
        let wanted = later(now, by).min(limit);
        if self.deadline.is_some_and(|deadline| deadline < wanted) {
            if let Phase::Stopping { until, .. } = &mut self.phase {
                *until = wanted;
            }
            self.set_alarm(wanted, out);
        }
    }

    /// `STOPPING=1`: it is on its way out by itself. It is not told to end, but may not take for ever.
    pub(super) fn on_leaving(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.is_at_work() {
            self.begin_to_stop(now, Then::Own, "it says that it is ending", out);
        }
    }

    /// It has ended, and nothing is left of its process group; or it could not be started at all.
    pub(super) fn on_exit(&mut self, now: Instant, end: End, unit: f64, out: &mut Vec<Action>) {
        let then = match &self.phase {
            Phase::Ready { since } => {
                if now.saturating_duration_since(*since) >= self.spec.restart.reset_after {
                    self.budget.reset();
                }
                Then::Own
            }
            Phase::Starting { .. } | Phase::Unready { .. } => Then::Own,
            Phase::Stopping { then, .. } => then.clone(),
            Phase::Waiting
            | Phase::Backoff { .. }
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
            Then::Own => self.end_of_its_own(now, end, unit, out),
        }
    }

    pub(super) fn on_alarm(&mut self, now: Instant, token: u64, quitting: bool, out: &mut Vec<Action>) {
        if token != self.alarm {
            return;
        }
        // It was put off since.
        if let Some(deadline) = self.deadline.filter(|deadline| now < *deadline) {
            return self.set_alarm(deadline, out);
        }
        match &self.phase {
            Phase::Starting { .. } => {
                let limit = kit::duration::format(self.spec.ready_timeout);
                self.on_unhealthy(now, format!("was not ready within {limit}"), out);
            }
            Phase::Ready { .. } | Phase::Unready { .. } => {
                let limit = self.watchdog.map(kit::duration::format).unwrap_or_default();
                self.on_unhealthy(now, format!("gave no sign of life for {limit}"), out);
            }
            Phase::Stopping { then: Then::Own, killed: false, .. } => {
                let limit = kit::duration::format(self.spec.stop_grace);
                let reason = format!("said that it was ending and did not within {limit}");
                self.kill(now, Then::Crash(reason), out);
            }
            Phase::Stopping { then, killed: false, .. } => {
                let then = then.clone();
                self.kill(now, then, out);
            }
            Phase::Stopping { killed: true, .. } if quitting => {
                out.push(Action::Abandon { name: self.spec.name.clone(), epoch: self.epoch });
                self.enter(Phase::Stopped, "cannot even be killed", out);
            }
            // Whatever holds it in the kernel, no second one takes its place before it is gone.
            Phase::Stopping { then, killed: true, .. } => {
                let then = then.clone();
                self.kill(now, then, out);
            }
            Phase::Backoff { .. } => {
                self.restarts = self.restarts.saturating_add(1);
                self.enter(Phase::Waiting, "has waited long enough", out);
            }
            Phase::Waiting | Phase::Stopped | Phase::Failed { .. } | Phase::Skipped { .. } => {}
        }
    }

    pub(super) fn on_verb(&mut self, now: Instant, verb: Verb, why: &str, out: &mut Vec<Action>) {
        if verb != Verb::Stop {
            self.forget_crashes();
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
            (Phase::Waiting | Phase::Backoff { .. } | Phase::Failed { .. }, Verb::Stop) => {
                self.enter(Phase::Stopped, why, out);
            }
            (Phase::Backoff { .. } | Phase::Stopped | Phase::Failed { .. }, Verb::Start | Verb::Restart) => {
                self.enter(Phase::Waiting, why, out);
            }
            (Phase::Skipped { .. }, Verb::Start | Verb::Stop | Verb::Restart) => {}
        }
    }

    fn forget_crashes(&mut self) {
        self.budget.reset();
        self.same_crashes = 0;
        self.last_print = None;
    }

    /// All is to end. Whoever has a process waits for its turn to be stopped.
    pub(super) fn on_quit(&mut self, out: &mut Vec<Action>) {
        match &mut self.phase {
            Phase::Waiting | Phase::Backoff { .. } => {
                self.enter(Phase::Stopped, "everything is stopped", out)
            }
            Phase::Stopping { then, .. } => *then = Then::Stay,
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unready { .. } => {}
            Phase::Stopped | Phase::Failed { .. } | Phase::Skipped { .. } => {}
        }
    }

    /// A reload gives it another spec.
    pub(super) fn replace(&mut self, now: Instant, spec: ComponentSpec, out: &mut Vec<Action>) {
        let why = "its configuration has changed";
        let was_retired = std::mem::take(&mut self.retired);
        let changed = was_retired || spec.config_digest != self.spec.config_digest;
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
            self.enter(Phase::Waiting, why, out);
        } else if changed && self.phase != Phase::Stopped {
            self.on_verb(now, Verb::Restart, why, out);
        }
    }

    /// A reload has no place for it.
    pub(super) fn retire(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.on_verb(now, Verb::Stop, "is not in the configuration any more", out);
    }

    /// Told to end, with TERM; later with KILL.
    pub(super) fn stop(&mut self, now: Instant, then: Then, why: &str, out: &mut Vec<Action>) {
        self.begin_to_stop(now, then, why, out);
        out.push(Action::Terminate { name: self.spec.name.clone(), epoch: self.epoch });
    }

    fn begin_to_stop(&mut self, now: Instant, then: Then, why: &str, out: &mut Vec<Action>) {
        let until = later(now, self.spec.stop_grace);
        self.limit = later(now, self.spec.stop_grace.saturating_mul(MAX_EXTENSION));
        self.enter(Phase::Stopping { then, until, killed: false }, why, out);
        self.set_alarm(until, out);
    }

    /// Ended at once.
    pub(super) fn kill(&mut self, now: Instant, then: Then, out: &mut Vec<Action>) {
        let until = now + KILL_PATIENCE;
        self.enter(Phase::Stopping { then, until, killed: true }, "is killed", out);
        self.set_alarm(until, out);
        out.push(Action::Kill { name: self.spec.name.clone(), epoch: self.epoch });
    }

    /// The last line that an incarnation wrote has arrived; it may say more than the exit code. `print` is equal for equal
    /// crashes.
    pub(super) fn on_last_words(
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

    /// The incarnation of this epoch is the last one that ended by itself.
    pub(crate) fn has_crashed_in(&self, epoch: u64) -> bool {
        self.crashed.is_some_and(|(crashed, _)| crashed == epoch)
    }

    /// Trying the same again soon will bring the same again.
    fn lengthen(&mut self, unit: f64, out: &mut Vec<Action>) {
        let wait = self.budget.lengthen(&self.spec.restart, SAME_PENALTY, unit);
        if let (Phase::Backoff { until }, Some((_, crashed_at))) = (&self.phase, self.crashed) {
            let until = later(crashed_at, wait).max(*until);
            self.enter(Phase::Backoff { until }, "the same crash has come three times in a row", out);
            self.set_alarm(until, out);
        }
    }

    /// It ended though nobody had asked it to.
    fn end_of_its_own(&mut self, now: Instant, end: End, unit: f64, out: &mut Vec<Action>) {
        let when = self.spec.restart.when;
        if end.clean && when != RestartWhen::Always {
            let note = format!("has done its work: it {}", end.how);
            self.enter(Phase::Stopped, &note, out);
            self.note = Some(note);
            return;
        }
        self.crashed = Some((self.epoch, now));
        self.last_error = Some(end.how.clone());
        if end.config_error {
            let reason = format!("its configuration is wrong: it {}", end.how);
            return self.give_up(reason, out);
        }
        if when == RestartWhen::Never {
            return self.give_up(format!("is not to be restarted; it {}", end.how), out);
        }
        match self.budget.grant(now, &self.spec.restart, unit) {
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
                    format!("given up after {restarts} restarts within {window}; the last time it {how}"),
                    out,
                );
            }
        }
    }

    fn give_up(&mut self, reason: String, out: &mut Vec<Action>) {
        let why = reason.clone();
        self.enter(Phase::Failed { reason }, &why, out);
    }

    /// Not wanted any more; a reload may have said why.
    fn rest(&mut self, why: &str, out: &mut Vec<Action>) {
        let phase = match &self.spec.launch {
            Launch::Command { .. } => Phase::Stopped,
            Launch::Skip { reason } => Phase::Skipped { reason: reason.clone() },
        };
        self.enter(phase, why, out);
    }

    /// Every change of phase goes through here: it silences the alarm of the old one.
    fn enter(&mut self, phase: Phase, why: &str, out: &mut Vec<Action>) {
        let from = self.state();
        self.phase = phase;
        self.alarm += 1;
        self.deadline = None;
        self.note = None;
        let (name, epoch, to) = (self.spec.name.clone(), self.epoch, self.state());
        out.push(Action::Changed { name, epoch, from, to, why: why.to_owned() });
    }

    fn set_alarm(&mut self, at: Instant, out: &mut Vec<Action>) {
        self.deadline = Some(at);
        out.push(Action::Alarm { name: self.spec.name.clone(), token: self.alarm, at });
    }
}

/// A time after another; as good as never where the clock ends before.
fn later(now: Instant, by: Duration) -> Instant {
    const AGES: Duration = Duration::from_secs(10 * 365 * 86_400);
    now + by.min(AGES)
}
