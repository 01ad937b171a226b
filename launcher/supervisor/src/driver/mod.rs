//! Executes decisions: owns the clock, the processes and the sockets, and carries out what the [`Machine`] decides.
//!
//! Everything arrives in [`Driver::run`], in one task: reports of the children's tasks, alarms, signals, requests of the operator, states
//! of dependencies, new plans. Each becomes an event; the machine returns actions, which are carried out at once and without waiting.

mod change;
mod daemon;
mod dependencies;
mod farewell;
mod files;
mod groups;
mod guard;
mod incarnation;
mod liveness;
mod news;
mod notify;
mod operator;
mod probe;
mod process;
pub(super) mod program;
mod reload;
mod report;
mod reports;
mod roots;
mod run_directory;
mod run_file;
mod schedules;
mod service_manager;
mod snapshot;
mod sockets;
mod triggers;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

use self::change::{Change, ReapedProcess};
use self::dependencies::{Dependencies, Probed};
use self::files::{Files, Touched};
use self::groups::Groups;
use self::guard::Guard;
use self::incarnation::{Environment, Incarnation};
use self::liveness::Liveness;
use self::report::Reported;
use self::schedules::Schedules;
use self::service_manager::ServiceManager;
use self::sockets::Sockets;
use super::cgroup::Realm;
use super::clock::{self, STANDSTILL};
use super::control::{ControlQuery, Server};
use super::events::Clock;
use super::hooks::{Hooks, Progress};
use super::listeners::Listeners;
use super::lock::Claim;
use super::logs::Logs;
use super::machine::{Action, Component, Event, Machine};
use super::outcome::{EndedBy, Outcome};
use super::run_dir::run_dir;
use super::signals::Signals;
use super::spec::{Plan, Readiness};
use super::status::State;

/// Reports in the queue to the driver; the children's tasks wait while it is full.
const REPORTS: usize = 256;

/// Requests of the operator in the queue; their connections wait while it is full.
const QUESTIONS: usize = 16;

/// Turns of other tasks before an alarm is handled: one in which they receive their messages, one in which they report them, and as many
/// again.
const CATCH_UP: usize = 4;

/// The interval of checks of the run directory.
const RUN_DIR_INTERVAL: Duration = Duration::from_secs(2);

/// The interval of progress reports during a long stop.
const STOP_NEWS: Duration = Duration::from_secs(1);

/// The supervisor's state besides that of the machine.
pub(super) struct Driver {
    machine: Machine,
    plan: Plan,
    claim: Claim,
    started_at: String,
    clock: Clock,
    logs: Logs,
    hooks: Hooks,
    sockets: Sockets,
    listeners: Listeners,
    server: Server,
    /// The queue for the control socket's requests.
    questions: mpsc::Sender<ControlQuery>,
    incarnations: BTreeMap<String, Incarnation>,
    /// The current alarm of each component.
    alarms: BTreeMap<String, (Instant, u64)>,
    /// The liveness results of each component.
    liveness: BTreeMap<String, Liveness>,
    schedules: Schedules,
    files: Files,
    dependencies: Dependencies,
    reports: mpsc::Sender<Reported>,
    outcome: Outcome,
    _guard: Option<Guard>,
    /// The control groups, if available.
    realm: Option<Realm>,
    groups: Groups,
    settled: bool,
    /// Ended processes whose last lines have not been read yet.
    unread_ends: usize,
    service_manager: ServiceManager,
}

/// The queues of incoming messages.
struct Inbox {
    reports: mpsc::Receiver<Reported>,
    questions: mpsc::Receiver<ControlQuery>,
    probes: mpsc::Receiver<Probed>,
    touched: mpsc::Receiver<Touched>,
    plans: Option<mpsc::Receiver<Plan>>,
    signals: Signals,
    /// Checks the run directory.
    run_dir_checks: Interval,
    /// Reports what a stop waits for. It ticks however many other messages arrive.
    stop_news: Interval,
}

/// An incoming message.
enum Input {
    Report(Reported),
    Question(ControlQuery),
    Probe(Probed),
    Plan(Box<Plan>),
    Signal,
    Hangup,
    CheckRunDirectory,
    Alarm,
    Due,
    Touched(Touched),
    StopNews,
}

impl Driver {
    /// Sets everything up and runs the plan until its end.
    pub(super) async fn supervise(
        plan: Plan,
        claim: Claim,
        mut hooks: Hooks,
        machine: Machine,
        signals: Signals,
        realm: Option<Realm>,
    ) -> io::Result<Outcome> {
        let run_dir = run_dir(&plan.data);
        let (reports, reported) = mpsc::channel(REPORTS);
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let (dependencies, probes) = Dependencies::watch(&plan.dependencies);
        let (files, touched) = Files::new();
        let run_dir_checks = ticks(RUN_DIR_INTERVAL);
        let stop_news = ticks(STOP_NEWS);
        let inbox = Inbox {
            reports: reported,
            questions: asked,
            probes,
            touched,
            plans: hooks.plans.take(),
            signals,
            run_dir_checks,
            stop_news,
        };
        let mut driver = Self {
            machine,
            claim,
            started_at: clock::rfc3339(),
            clock: Clock::start(),
            logs: Logs::start(&plan.logs, plan.log_policy, &plan.secrets, hooks.tap.take())?,
            hooks,
            sockets: Sockets::make(&run_dir)?,
            listeners: Listeners::new()?,
            server: Server::bind(&run_dir, questions.clone())?,
            questions,
            incarnations: BTreeMap::new(),
            alarms: BTreeMap::new(),
            liveness: BTreeMap::new(),
            schedules: Schedules::open(&run_dir),
            files,
            dependencies,
            reports,
            outcome: Outcome::default(),
            _guard: plan.guard.as_deref().map(|program| Guard::start(program, plan.run_id, realm.as_ref())),
            realm,
            groups: Groups::default(),
            settled: false,
            unread_ends: 0,
            service_manager: ServiceManager::begin(),
            plan,
        };
        driver.schedules.set(&driver.plan.components);
        driver
            .files
            .watch(&driver.plan.components, &[driver.plan.data.as_path(), driver.plan.logs.as_path()]);
        driver.run(inbox).await;
        let Self { logs, outcome, schedules, .. } = driver;
        schedules.close().await;
        logs.close().await;
        Ok(outcome)
    }

    async fn run(&mut self, mut inbox: Inbox) {
        let mut finished = self.feed(Event::Begin);
        while !finished {
            let input = self.next(&mut inbox).await;
            finished = match input {
                Input::Report(reported) => self.on_report(reported),
                Input::Question(asked) => self.on_question(asked),
                Input::Probe(probed) => self.on_probe(probed),
                Input::Plan(plan) => self.on_plan(*plan),
                Input::Signal => self.on_signal(),
                Input::Hangup => self.on_hangup(),
                Input::Due => self.on_due(),
                Input::Touched(touched) => self.on_touched(touched),
                Input::CheckRunDirectory => {
                    self.restore_run_directory();
                    false
                }
                Input::Alarm => {
                    let is_over = self.catch_up(&mut inbox).await;
                    is_over || self.on_alarm()
                }
                Input::StopNews => {
                    let awaited = self.awaited();
                    self.service_manager.waiting(&awaited);
                    self.tell(Progress::Stopping(awaited));
                    false
                }
            };
        }
    }

    async fn next(&self, inbox: &mut Inbox) -> Input {
        let alarm = self.alarms.values().map(|(at, _)| *at).min();
        // In random order, so that a child that sends messages without pause does not delay others.
        tokio::select! {
            Some(()) = inbox.signals.ends.recv() => Input::Signal,
            Some(()) = inbox.signals.reloads.recv() => Input::Hangup,
            Some(reported) = inbox.reports.recv() => Input::Report(reported),
            () = until(alarm) => Input::Alarm,
            () = self.schedules.wait() => Input::Due,
            Some(touched) = inbox.touched.recv() => Input::Touched(touched),
            _ = inbox.run_dir_checks.tick() => Input::CheckRunDirectory,
            Some(asked) = inbox.questions.recv() => Input::Question(asked),
            Some(probed) = inbox.probes.recv() => Input::Probe(probed),
            Some(plan) = next_plan(&mut inbox.plans) => Input::Plan(Box::new(plan)),
            _ = inbox.stop_news.tick(), if self.machine.is_quitting() => Input::StopNews,
        }
    }

    /// Passes an event to the machine and carries out its decisions; returns `true` when everything has ended.
    fn feed(&mut self, event: Event) -> bool {
        self.feed_end(event, None)
    }

    /// Like [`Self::feed`], for the end of a process.
    fn feed_end(&mut self, event: Event, mut end: Option<ReapedProcess>) -> bool {
        let mut finished = false;
        let mut events = VecDeque::from([event]);
        // Actions may cause further events: a start has succeeded or failed.
        while let Some(event) = events.pop_front() {
            let now = Instant::now();
            for action in self.machine.step(now, event) {
                finished |= action == Action::Finish;
                self.act(action, now, &mut end, &mut events);
            }
        }
        self.settle();
        finished
    }

    /// Carries out an action decided at `now`.
    fn act(
        &mut self,
        action: Action,
        now: Instant,
        end: &mut Option<ReapedProcess>,
        events: &mut VecDeque<Event>,
    ) {
        match action {
            Action::Spawn { name, epoch } => self.spawn(name, epoch, events),
            Action::Terminate { name, epoch } => {
                let spec = self.machine.component(&name).map(|component| Box::new(component.spec.clone()));
                let run_id = self.plan.run_id;
                if let Some((incarnation, spec)) = self.incarnation_mut(&name, epoch).zip(spec) {
                    incarnation.terminate(spec, run_id);
                }
                self.tell_of_stop();
            }
            Action::Kill { name, epoch } => {
                tracing::warn!(component = name, "sending SIGKILL");
                if let Some(incarnation) = self.incarnation_mut(&name, epoch) {
                    incarnation.kill();
                }
            }
            Action::Abandon { name, epoch, who } => {
                tracing::error!(component = name, "still running after SIGKILL; giving up on it");
                if self.incarnation(&name, epoch).is_some() {
                    self.incarnations.remove(&name);
                }
                let who = who.map(|who| format!(" ({who})")).unwrap_or_default();
                self.outcome.abandoned.push(name + &who);
            }
            Action::Alarm { name, token, at } => {
                self.alarms.insert(name, (at, token));
            }
            Action::Changed { name, epoch, from, to, why } => {
                self.close_if_stopped(&name);
                if let Some(component) = self.machine.component(&name) {
                    self.schedules.note(component, from, to, &why);
                }
                if to == State::Ready
                    && let Some(incarnation) = self.incarnation(&name, epoch)
                {
                    incarnation.serves();
                }
                let ended = end.take_if(|end| end.name == name);
                let at = self.clock.at(now);
                self.tell_of_change(Change { at, name, epoch, from, to, why }, ended);
            }
            Action::Forget { name } => {
                self.alarms.remove(&name);
                self.liveness.remove(&name);
                tracing::info!(component = name, "removed from the plan");
            }
            Action::StopAll { name, exit, why } => self.stop_all(EndedBy { component: name, why, exit }),
            Action::Finish => {}
        }
    }

    fn spawn(&mut self, name: String, epoch: u64, events: &mut VecDeque<Event>) {
        let Some(component) = self.machine.component(&name) else { return };
        let spec = component.spec.clone();
        let environment = Environment {
            run_id: self.plan.run_id,
            claim: &self.claim,
            realm: self.realm.as_ref(),
            sockets: &mut self.sockets,
            listeners: &mut self.listeners,
            logs: &mut self.logs,
            reports: &self.reports,
        };
        match incarnation::start(&spec, epoch, environment) {
            Ok(incarnation) => {
                let pid = incarnation.pid;
                self.incarnations.insert(name.clone(), incarnation);
                events.push_back(Event::Spawned { name: name.clone(), epoch, pid });
                if spec.readiness == Readiness::Spawned {
                    events.push_back(Event::Ready { name, epoch });
                }
            }
            Err(error) => events.push_back(Event::SpawnFailed { name, epoch, error: error.to_string() }),
        }
    }

    fn incarnation(&self, name: &str, epoch: u64) -> Option<&Incarnation> {
        self.incarnations.get(name).filter(|incarnation| incarnation.epoch == epoch)
    }

    fn incarnation_mut(&mut self, name: &str, epoch: u64) -> Option<&mut Incarnation> {
        self.incarnations.get_mut(name).filter(|incarnation| incarnation.epoch == epoch)
    }

    /// A component that does not restart by itself must not have a socket in which connections wait for it.
    fn close_if_stopped(&mut self, name: &str) {
        if self.is_down(name)
            && let Some(component) = self.machine.component(name)
        {
            self.listeners.close(&component.spec.listen);
        }
    }

    fn is_down(&self, name: &str) -> bool {
        let state = self.machine.component(name).map(Component::state);
        matches!(state, Some(State::Finished | State::Stopped | State::Failed))
    }

    /// Handles pending messages of children before their silence is judged: if this process was suspended, they may be unread.
    async fn catch_up(&mut self, inbox: &mut Inbox) -> bool {
        let mut finished = false;
        for _ in 0..CATCH_UP {
            // The kernel is polled, and the children's tasks get their turn.
            tokio::task::yield_now().await;
            while let Ok(reported) = inbox.reports.try_recv() {
                finished |= self.on_report(reported);
            }
        }
        finished
    }

    fn on_alarm(&mut self) -> bool {
        let now = Instant::now();
        let late = self.alarms.values().map(|(at, _)| now.saturating_duration_since(*at)).max();
        if let Some(late) = late.filter(|late| *late >= STANDSTILL) {
            tracing::warn!(?late, "the launcher was stopped or held up; all time limits begin anew");
            self.feed(Event::Standstill);
        }
        let due: Vec<String> =
            self.alarms.iter().filter(|(_, (at, _))| *at <= now).map(|(name, _)| name.clone()).collect();
        let mut finished = false;
        for name in due {
            if let Some((_, token)) = self.alarms.remove(&name) {
                finished |= self.feed(Event::Alarm { name, token });
            }
        }
        finished
    }

    fn on_probe(&mut self, probed: Probed) -> bool {
        let (name, ok) = (probed.name.clone(), probed.result.is_ok());
        self.dependencies.note(probed);
        if self.service_manager.is_connected() && !self.machine.is_quitting() {
            let snapshot = self.snapshot();
            self.service_manager.changed(&snapshot);
        }
        self.feed(Event::Dependency { name, ok })
    }
}

async fn until(at: Option<Instant>) {
    match at {
        // A timer would wait for its next tick, a millisecond later: a restart without a backoff is due at once.
        Some(at) if at <= Instant::now() => {}
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// An interval that does not make up for missed ticks.
fn ticks(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The next plan; pending forever if plans have ended.
async fn next_plan(plans: &mut Option<mpsc::Receiver<Plan>>) -> Option<Plan> {
    match plans {
        Some(plans) => plans.recv().await,
        None => std::future::pending().await,
    }
}
