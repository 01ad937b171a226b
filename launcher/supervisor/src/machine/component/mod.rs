//! The state machine of one component. Pure: it is given the time and an event, and returns actions.
//!
//! ```text
//!            needs ready          READY=1          probe fails
//!  Waiting ───────────▶ Starting ─────────▶ Ready ◀──────────▶ Unready
//!     ▲                  │  │ too late        │  probe passes     │
//!     │ in time     exit │  └──▶ Stopping ◀───┴───────────────────┘ stop, restart, watchdog
//!     └───── Backoff ◀───┴───────── │ exit
//!               │ too often         └──▶ Waiting │ Stopped
//!               └──▶ Failed
//! ```
//!
//! A one-shot that exits with code 0, or a component that is not restarted after that, has *finished*.
//!
//! A process is an *incarnation* with an epoch of its own; events of an earlier one are dropped by their epoch. An alarm belongs to the
//! state that set it; one that fires in a later state is recognised by its token and dropped.

mod due;
mod end;
mod ended;
mod order;

use std::time::{Duration, Instant};

use super::Action;
use super::budget::Budget;
use crate::exit::ProcessExit;
use crate::spec::{ComponentKind, ComponentSpec, Launch};
use crate::status::State;

pub(super) use ended::End;

/// Time limit for a killed process to end. Only a process blocked in the kernel needs more than milliseconds.
const KILL_TIMEOUT: Duration = Duration::from_secs(3);

/// Requests for more time to start or to stop can extend the limit to this multiple.
const MAX_EXTENSION: u32 = 10;

/// The note on a component that waits for the operator.
const NOT_BY_ITSELF: &str = "autostart = false: it starts only when asked to";

/// The phase of a component.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Phase {
    /// A dependency is not ready.
    Waiting,
    /// Its process was requested at `since`.
    Starting { since: Instant },
    /// Its process has been ready since then.
    Ready { since: Instant },
    /// Its process is running and was ready, but is not now.
    Unready { reason: String },
    /// Its process was asked to end, and is killed at `until`; `killed` once it was.
    Stopping { then: Then, until: Instant, killed: bool },
    /// It is restarted at this time.
    Backoff { until: Instant },
    /// Its time has not come yet, for the first time.
    Scheduled,
    /// It has done what it is for.
    Finished,
    /// It is not wanted.
    Stopped,
    /// It is not restarted any more.
    Failed { reason: String },
    /// It is not part of this run.
    Skipped { reason: String },
}

/// What follows a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing.
    Stay,
    /// A start.
    Start,
    /// The handling of a crash, for this reason.
    Crash(String),
    /// The handling of an end by itself: it announced that it is stopping.
    Own,
    /// The handling of an end by itself: its main process has ended, and its descendants are asked to end.
    Rest,
}

/// One component.
#[derive(Debug, Clone)]
pub(crate) struct Component {
    pub(crate) spec: ComponentSpec,
    pub(crate) phase: Phase,
    /// The number of the present or last incarnation; 0 before the first.
    pub(crate) epoch: u64,
    pub(crate) pid: Option<u32>,
    /// When the present or last incarnation was started.
    pub(super) started: Instant,
    /// Restarts after it ended by itself.
    pub(crate) restarts: u32,
    pub(crate) ready_after: Option<Duration>,
    pub(crate) last_error: Option<String>,
    pub(crate) status_text: Option<String>,
    /// The number of consecutive crashes of the same kind.
    pub(crate) same_crashes: u32,
    /// A note on why it is not wanted.
    pub(super) note: Option<String>,
    /// Its processes that do not end after SIGKILL.
    pub(super) unkillable: Option<String>,
    /// A reload removed it from the plan; it is forgotten once it has ended.
    pub(super) retired: bool,
    /// One more run follows the present one.
    pub(crate) queued: bool,
    /// Runs that the clock asked for and that never began, because the one before was not over.
    pub(crate) skipped_runs: u32,
    /// When the alarm that counts rings.
    pub(super) deadline: Option<Instant>,
    /// The watchdog interval of the present incarnation.
    watchdog: Option<Duration>,
    /// The latest time to which a start or a stop can be extended.
    limit: Instant,
    /// The incarnation of `last_error`, and when it ended.
    crashed: Option<(u64, Instant)>,
    last_print: Option<u64>,
    budget: Budget,
    /// The token of the current alarm.
    alarm: u64,
}

impl Component {
    pub(super) fn new(now: Instant, spec: ComponentSpec) -> Self {
        let phase = first_phase(&spec);
        let note = (phase == Phase::Stopped).then(|| NOT_BY_ITSELF.to_owned());
        Self {
            spec,
            phase,
            note,
            epoch: 0,
            pid: None,
            started: now,
            restarts: 0,
            ready_after: None,
            last_error: None,
            status_text: None,
            same_crashes: 0,
            unkillable: None,
            retired: false,
            queued: false,
            skipped_runs: 0,
            deadline: None,
            watchdog: None,
            limit: now,
            crashed: None,
            last_print: None,
            budget: Budget::default(),
            alarm: 0,
        }
    }

    /// Its state for observers.
    pub(crate) fn state(&self) -> State {
        match &self.phase {
            Phase::Waiting => State::Waiting,
            Phase::Starting { .. } => State::Starting,
            Phase::Ready { .. } if self.is_oneshot() => State::Running,
            Phase::Ready { .. } => State::Ready,
            Phase::Unready { .. } => State::Unready,
            Phase::Stopping { .. } => State::Stopping,
            Phase::Backoff { .. } => State::Backoff,
            Phase::Scheduled => State::Scheduled,
            Phase::Finished => State::Finished,
            Phase::Stopped => State::Stopped,
            Phase::Failed { .. } => State::Failed,
            Phase::Skipped { .. } => State::Skipped,
        }
    }

    /// Whether it has a process.
    pub(crate) fn is_alive(&self) -> bool {
        self.is_at_work() || matches!(self.phase, Phase::Stopping { .. })
    }

    /// Whether it has a process that was not asked to end.
    pub(super) fn is_at_work(&self) -> bool {
        match self.phase {
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unready { .. } => true,
            Phase::Waiting
            | Phase::Stopping { .. }
            | Phase::Backoff { .. }
            | Phase::Scheduled
            | Phase::Finished
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => false,
        }
    }

    /// Whether its process is ready, or has begun its work.
    fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    /// Whether exit code 0 means that it has finished.
    pub(super) fn is_oneshot(&self) -> bool {
        self.spec.kind == ComponentKind::Oneshot
    }

    /// Whether dependents may start.
    pub(super) fn is_met(&self) -> bool {
        self.phase == Phase::Finished || self.is_ready() && !self.is_oneshot()
    }

    /// Its dependencies are ready: starts a new incarnation.
    pub(super) fn start(&mut self, now: Instant, out: &mut Vec<Action>) {
        debug_assert_eq!(self.phase, Phase::Waiting, "only who waits is started");
        self.epoch += 1;
        self.pid = None;
        self.started = now;
        self.ready_after = None;
        self.status_text = None;
        self.unkillable = None;
        self.watchdog = self.spec.watchdog;
        self.limit = later(now, self.spec.ready_timeout.saturating_mul(MAX_EXTENSION));
        self.enter(Phase::Starting { since: now }, "its dependencies are ready", out);
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
            // Repeated, or too late.
            Phase::Ready { .. } | Phase::Stopping { .. } => {}
            Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Scheduled
            | Phase::Finished
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => {}
        }
    }

    fn serve(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.enter(Phase::Ready { since: now }, "ready", out);
        self.on_sign_of_life(now, out);
    }

    /// Its readiness probe fails, which restarts nothing.
    pub(super) fn on_unready(&mut self, now: Instant, reason: String, out: &mut Vec<Action>) {
        if self.is_ready() {
            self.credit(now);
            let watched_until = self.deadline;
            let why = reason.clone();
            self.enter(Phase::Unready { reason }, &why, out);
            if let Some(until) = watched_until {
                self.set_alarm(until, out);
            }
        }
    }

    /// It must be restarted for this reason.
    pub(super) fn on_unhealthy(&mut self, now: Instant, reason: String, out: &mut Vec<Action>) {
        if self.is_at_work() {
            let why = reason.clone();
            self.stop(now, Then::Crash(reason), &why, out);
        }
    }

    /// `WATCHDOG=1`.
    pub(super) fn on_sign_of_life(&mut self, now: Instant, out: &mut Vec<Action>) {
        if let (Phase::Ready { .. } | Phase::Unready { .. }, Some(timeout)) = (&self.phase, self.watchdog) {
            let until = later(now, timeout);
            let longer = self.deadline.map_or(until, |earlier| earlier.max(until));
            self.set_alarm(longer, out);
        }
    }

    /// `EXTEND_TIMEOUT_USEC`: the current limit is at least this far away.
    pub(super) fn on_extend(&mut self, now: Instant, by: Duration, out: &mut Vec<Action>) {
        let limit = match &self.phase {
            Phase::Starting { .. } | Phase::Stopping { killed: false, .. } => self.limit,
            Phase::Ready { .. } | Phase::Unready { .. } => match self.watchdog {
                Some(timeout) => later(now, timeout.saturating_mul(MAX_EXTENSION)),
                None => return,
            },
            Phase::Stopping { killed: true, .. }
            | Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Scheduled
            | Phase::Finished
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

    /// `STOPPING=1`: it is ending by itself. It is not asked to end, but has a time limit.
    pub(super) fn on_leaving(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.is_at_work() {
            self.begin_to_stop(now, Then::Own, self.spec.stop_grace, "announced that it is stopping", out);
        }
    }

    /// Its main process has ended, and descendants are running: they get time to end, too.
    pub(super) fn on_main_exit(&mut self, now: Instant, exit: ProcessExit, out: &mut Vec<Action>) {
        match &self.phase {
            Phase::Starting { .. }
            | Phase::Ready { .. }
            | Phase::Unready { .. }
            | Phase::Stopping { then: Then::Own, killed: false, .. } => {
                let why = format!("its main process {exit}; stopping its other processes");
                self.stop(now, Then::Rest, &why, out);
            }
            // They were asked together with it.
            Phase::Stopping { .. } => {}
            Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Scheduled
            | Phase::Finished
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => {}
        }
    }

    pub(super) fn on_alarm(&mut self, now: Instant, token: u64, quitting: bool, out: &mut Vec<Action>) {
        if token != self.alarm {
            return;
        }
        // The alarm was postponed.
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
                self.on_unhealthy(now, format!("sent no watchdog signal for {limit}"), out);
            }
            Phase::Stopping { then: Then::Own, killed: false, .. } => {
                let limit = kit::duration::format(self.spec.stop_grace);
                let reason = format!("announced that it was stopping and did not stop within {limit}");
                self.kill(now, Then::Crash(reason), out);
            }
            Phase::Stopping { then, killed: false, .. } => {
                let then = then.clone();
                self.kill(now, then, out);
            }
            Phase::Stopping { killed: true, .. } if quitting => {
                let who = self.unkillable.take();
                self.pid = None;
                out.push(Action::Abandon { name: self.spec.name.clone(), epoch: self.epoch, who });
                self.enter(Phase::Stopped, "still running after SIGKILL", out);
            }
            // Whatever blocks it in the kernel, no second process is started before it has ended.
            Phase::Stopping { then, killed: true, .. } => {
                let then = then.clone();
                self.kill(now, then, out);
            }
            Phase::Backoff { .. } => {
                self.restarts = self.restarts.saturating_add(1);
                self.enter(Phase::Waiting, "backoff is over", out);
            }
            Phase::Waiting
            | Phase::Scheduled
            | Phase::Finished
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => {}
        }
    }

    /// This process was suspended: the current limit begins again.
    pub(super) fn on_standstill(&mut self, now: Instant, out: &mut Vec<Action>) {
        let limit = match &self.phase {
            Phase::Starting { .. } => Some(self.spec.ready_timeout),
            Phase::Ready { .. } | Phase::Unready { .. } => self.watchdog,
            Phase::Stopping { killed: false, .. } => Some(self.spec.stop_timeout()),
            Phase::Stopping { killed: true, .. } => Some(KILL_TIMEOUT),
            Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Scheduled
            | Phase::Finished
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => None,
        };
        let Some(limit) = limit else { return };
        let at = self.deadline.map_or(later(now, limit), |deadline| deadline.max(later(now, limit)));
        self.limit = self.limit.max(later(now, limit.saturating_mul(MAX_EXTENSION)));
        if let Phase::Stopping { until, .. } = &mut self.phase {
            *until = at;
        }
        self.set_alarm(at, out);
    }

    /// Asks it to end in its own way; KILL follows later.
    pub(super) fn stop(&mut self, now: Instant, then: Then, why: &str, out: &mut Vec<Action>) {
        self.begin_to_stop(now, then, self.spec.stop_timeout(), why, out);
        out.push(Action::Terminate { name: self.spec.name.clone(), epoch: self.epoch });
    }

    /// It is no longer ready: after a long time of readiness earlier crashes are forgotten.
    fn credit(&mut self, now: Instant) {
        if let Phase::Ready { since } = self.phase
            && now.saturating_duration_since(since) >= self.spec.restart.reset_after
        {
            self.budget.reset();
        }
    }

    fn begin_to_stop(
        &mut self,
        now: Instant,
        then: Then,
        timeout: Duration,
        why: &str,
        out: &mut Vec<Action>,
    ) {
        self.credit(now);
        let until = later(now, timeout);
        self.limit = later(now, timeout.saturating_mul(MAX_EXTENSION));
        self.enter(Phase::Stopping { then, until, killed: false }, why, out);
        self.set_alarm(until, out);
    }

    /// Kills it at once.
    pub(super) fn kill(&mut self, now: Instant, then: Then, out: &mut Vec<Action>) {
        let until = now + KILL_TIMEOUT;
        self.enter(Phase::Stopping { then, until, killed: true }, "sent SIGKILL", out);
        self.set_alarm(until, out);
        out.push(Action::Kill { name: self.spec.name.clone(), epoch: self.epoch });
    }

    /// Every change of phase passes here; it cancels the alarm of the previous phase.
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

/// What a component does that has never run.
fn first_phase(spec: &ComponentSpec) -> Phase {
    match &spec.launch {
        Launch::Command { .. } if !spec.autostart => Phase::Stopped,
        Launch::Command { .. } if spec.schedule.is_some() => Phase::Scheduled,
        Launch::Command { .. } => Phase::Waiting,
        Launch::Skip { reason } => Phase::Skipped { reason: reason.clone() },
    }
}

/// A time after another; as good as never where the clock ends before.
fn later(now: Instant, by: Duration) -> Instant {
    const AGES: Duration = Duration::from_secs(10 * 365 * 86_400);
    now + by.min(AGES)
}
