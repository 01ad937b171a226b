//! Acts: owns the clock, the processes and the sockets, and does what the [`Machine`] decides.
//!
//! Everything that happens arrives in [`Driver::run`], in one task: reports of the children's tasks, alarms, signals, what the
//! operator asks, what dependencies answer, new plans. Each becomes an event; the machine answers with actions; each is done
//! at once and without waiting.

mod change;
mod daemon;
mod dependencies;
mod farewell;
mod files;
mod groups;
mod guard;
mod housing;
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
mod schedules;
mod snapshot;
mod triggers;
mod upward;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

use self::change::{Burial, Change};
use self::dependencies::{Dependencies, Probed};
use self::files::{Files, Touched};
use self::groups::Groups;
use self::guard::Guard;
use self::incarnation::{Incarnation, Surroundings};
use self::liveness::Liveness;
use self::notify::Directory;
use self::report::Reported;
use self::schedules::Schedules;
use self::upward::Upward;
use super::cgroup::Realm;
use super::clock::{self, STANDSTILL};
use super::control::{Asked, Server};
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

/// Reports that may wait for the driver; the children's tasks wait when there are more.
const REPORTS: usize = 256;

/// Questions of the operator that may wait; their connections wait when there are more.
const QUESTIONS: usize = 16;

/// The turns that others have before an alarm is heard: one in which they learn of their news, one in which they tell, and as many again.
const CATCH_UP: usize = 4;

/// How often it is looked whether the run directory is all there.
const LOOK: Duration = Duration::from_secs(2);

/// How often a stop that takes long says whom it waits for.
const STOP_NEWS: Duration = Duration::from_secs(1);

/// The supervisor's state beside what the machine decides on.
pub(super) struct Driver {
    machine: Machine,
    plan: Plan,
    claim: Claim,
    started_at: String,
    clock: Clock,
    logs: Logs,
    hooks: Hooks,
    sockets: Directory,
    listeners: Listeners,
    server: Server,
    /// What the control socket asks by.
    questions: mpsc::Sender<Asked>,
    incarnations: BTreeMap<String, Incarnation>,
    /// The one alarm of each component that counts.
    alarms: BTreeMap<String, (Instant, u64)>,
    /// How each component answered its liveness probe.
    liveness: BTreeMap<String, Liveness>,
    schedules: Schedules,
    files: Files,
    dependencies: Dependencies,
    reports: mpsc::Sender<Reported>,
    outcome: Outcome,
    _guard: Option<Guard>,
    /// The control groups, where there are any.
    realm: Option<Realm>,
    groups: Groups,
    settled: bool,
    /// How many have ended whose last lines have not been read yet.
    unread_ends: usize,
    upward: Upward,
}

/// What arrives from outside.
struct Inbox {
    reports: mpsc::Receiver<Reported>,
    questions: mpsc::Receiver<Asked>,
    probes: mpsc::Receiver<Probed>,
    touched: mpsc::Receiver<Touched>,
    plans: Option<mpsc::Receiver<Plan>>,
    signals: Signals,
    /// When it is looked after the run directory.
    looks: Interval,
    /// When it is told whom a stop waits for. It ticks on whatever else arrives.
    stop_news: Interval,
}

/// One thing that arrived.
enum Input {
    Report(Reported),
    Question(Asked),
    Probe(Probed),
    Plan(Box<Plan>),
    Signal,
    Hangup,
    Look,
    Alarm,
    Due,
    Touched(Touched),
    StopNews,
}

impl Driver {
    /// Makes everything that is needed and runs the plan until its end.
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
        let looks = ticks(LOOK);
        let stop_news = ticks(STOP_NEWS);
        let inbox = Inbox {
            reports: reported,
            questions: asked,
            probes,
            touched,
            plans: hooks.plans.take(),
            signals,
            looks,
            stop_news,
        };
        let mut driver = Self {
            machine,
            claim,
            started_at: clock::rfc3339(),
            clock: Clock::start(),
            logs: Logs::start(&plan.logs, plan.log_policy, &plan.secrets, hooks.tap.take())?,
            hooks,
            sockets: Directory::make(&run_dir)?,
            listeners: Listeners::new()?,
            server: Server::bind(&run_dir, questions.clone())?,
            questions,
            incarnations: BTreeMap::new(),
            alarms: BTreeMap::new(),
            liveness: BTreeMap::new(),
            schedules: Schedules::default(),
            files,
            dependencies,
            reports,
            outcome: Outcome::default(),
            _guard: plan.guard.as_deref().map(|program| Guard::start(program, plan.run_id, realm.as_ref())),
            realm,
            groups: Groups::default(),
            settled: false,
            unread_ends: 0,
            upward: Upward::begin(),
            plan,
        };
        driver.schedules.set(&driver.plan.components);
        driver
            .files
            .watch(&driver.plan.components, &[driver.plan.data.as_path(), driver.plan.logs.as_path()]);
        driver.run(inbox).await;
        let Self { logs, outcome, .. } = driver;
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
                Input::Look => {
                    self.look_after_run_directory();
                    false
                }
                Input::Alarm => {
                    let is_over = self.catch_up(&mut inbox).await;
                    is_over || self.on_alarm()
                }
                Input::StopNews => {
                    let awaited = self.awaited();
                    self.upward.waiting(&awaited);
                    self.tell(Progress::Stopping(awaited));
                    false
                }
            };
        }
    }

    async fn next(&self, inbox: &mut Inbox) -> Input {
        let alarm = self.alarms.values().map(|(at, _)| *at).min();
        // In random order: a child that talks without end keeps nothing else from being heard.
        tokio::select! {
            Some(()) = inbox.signals.ends.recv() => Input::Signal,
            Some(()) = inbox.signals.reloads.recv() => Input::Hangup,
            Some(reported) = inbox.reports.recv() => Input::Report(reported),
            () = until(alarm) => Input::Alarm,
            () = self.schedules.wait() => Input::Due,
            Some(touched) = inbox.touched.recv() => Input::Touched(touched),
            _ = inbox.looks.tick() => Input::Look,
            Some(asked) = inbox.questions.recv() => Input::Question(asked),
            Some(probed) = inbox.probes.recv() => Input::Probe(probed),
            Some(plan) = next_plan(&mut inbox.plans) => Input::Plan(Box::new(plan)),
            _ = inbox.stop_news.tick(), if self.machine.is_quitting() => Input::StopNews,
        }
    }

    /// Gives an event to the machine and does what it decides; true when all has ended.
    fn feed(&mut self, event: Event) -> bool {
        self.feed_end(event, None)
    }

    /// As [`Self::feed`], where a process has ended.
    fn feed_end(&mut self, event: Event, mut end: Option<Burial>) -> bool {
        let mut finished = false;
        let mut events = VecDeque::from([event]);
        // Doing may make further events: what is started has started, or has not.
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

    /// Does what was decided `now`.
    fn act(&mut self, action: Action, now: Instant, end: &mut Option<Burial>, events: &mut VecDeque<Event>) {
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
        let around = Surroundings {
            run_id: self.plan.run_id,
            claim: &self.claim,
            realm: self.realm.as_ref(),
            sockets: &self.sockets,
            listeners: &mut self.listeners,
            logs: &mut self.logs,
            reports: &self.reports,
        };
        match incarnation::start(&spec, epoch, around) {
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

    /// What does not come back by itself has no place where connections wait for it.
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

    /// What the children have said is heard before it is judged that they said nothing: where we ourselves were held up, it lies unread.
    async fn catch_up(&mut self, inbox: &mut Inbox) -> bool {
        let mut finished = false;
        for _ in 0..CATCH_UP {
            // The kernel is asked for news, and the children's tasks have their turn.
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
        if self.upward.is_connected() && !self.machine.is_quitting() {
            let snapshot = self.snapshot();
            self.upward.changed(&snapshot);
        }
        self.feed(Event::Dependency { name, ok })
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Again and again; what was missed is not made up for.
fn ticks(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The next plan, or never.
async fn next_plan(plans: &mut Option<mpsc::Receiver<Plan>>) -> Option<Plan> {
    match plans {
        Some(plans) => plans.recv().await,
        None => std::future::pending().await,
    }
}
