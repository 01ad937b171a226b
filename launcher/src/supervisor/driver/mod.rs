//! Acts: owns the clock, the processes and the sockets, and does what the [`Machine`] decides.
//!
//! Everything that happens arrives in [`Driver::run`], in one task: reports of the children's tasks, alarms, signals, what the
//! operator asks, what dependencies answer, new plans. Each becomes an event; the machine answers with actions; each is done
//! at once and without waiting.

mod dependencies;
mod groups;
mod guard;
mod incarnation;
mod notify;
mod probe;
mod process;
mod snapshot;
mod upward;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use self::dependencies::{Dependencies, Probed};
use self::groups::Groups;
use self::guard::Guard;
use self::incarnation::{Incarnation, Report, Reported, Surroundings, last_line};
use self::notify::{Directory, Said};
use self::probe::{Answer, Verdict};
use self::process::Death;
use self::upward::Upward;
use super::control::{Asked, ReloadSummary, Request, Response, Server, run_dir};
use super::events::{self, Clock, Ended, Observation, ProbeKind, Transition};
use super::exit::ProcessExit;
use super::graph::Graph;
use super::hooks::{Hooks, Progress};
use super::listeners::Listeners;
use super::lock::Claim;
use super::logs::{Logs, mask_text};
use super::machine::{Action, Component, Event, Machine, Phase, Then, Verb, ceil_seconds, fingerprint};
use super::spec::{ComponentSpec, Launch, Listen, Plan, Readiness};
use super::status::{Awaited, State};
use super::{Outcome, clock};

/// Reports that may wait for the driver; the children's tasks wait when there are more.
const REPORTS: usize = 256;

/// Questions of the operator that may wait; their connections wait when there are more.
const QUESTIONS: usize = 16;

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
    _server: Server,
    incarnations: BTreeMap<String, Incarnation>,
    /// The one alarm of each component that counts.
    alarms: BTreeMap<String, (Instant, u64)>,
    dependencies: Dependencies,
    reports: mpsc::Sender<Reported>,
    outcome: Outcome,
    _guard: Option<Guard>,
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
    plans: Option<mpsc::Receiver<Plan>>,
    /// Each message is one signal that asks for the end.
    signals: mpsc::Receiver<()>,
}

/// A process that has ended, and whose.
struct Burial {
    name: String,
    pid: u32,
    ended: Ended,
}

/// A component's change of state.
struct Change {
    name: String,
    epoch: u64,
    from: State,
    to: State,
    why: String,
}

/// One thing that arrived.
enum Input {
    Report(Reported),
    Question(Asked),
    Probe(Probed),
    Plan(Box<Plan>),
    Signal,
    Alarm,
    StopNews,
}

impl Driver {
    /// Makes everything that is needed and runs the plan until its end.
    pub(super) async fn supervise(
        plan: Plan,
        claim: Claim,
        mut hooks: Hooks,
        machine: Machine,
        signals: mpsc::Receiver<()>,
    ) -> io::Result<Outcome> {
        let run_dir = run_dir(&plan.data);
        let (reports, reported) = mpsc::channel(REPORTS);
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let (dependencies, probes) = Dependencies::watch(&plan.dependencies);
        let inbox = Inbox { reports: reported, questions: asked, probes, plans: hooks.plans.take(), signals };
        let mut driver = Self {
            machine,
            claim,
            started_at: clock::rfc3339(),
            clock: Clock::start(),
            logs: Logs::start(&plan.logs, plan.log_policy, &plan.secrets)?,
            hooks,
            sockets: Directory::make(&run_dir)?,
            listeners: Listeners::new()?,
            _server: Server::bind(&run_dir, questions)?,
            incarnations: BTreeMap::new(),
            alarms: BTreeMap::new(),
            dependencies,
            reports,
            outcome: Outcome::default(),
            _guard: plan.guard.as_deref().map(|program| Guard::start(program, plan.run_id)),
            groups: Groups::default(),
            settled: false,
            unread_ends: 0,
            upward: Upward::begin(),
            plan,
        };
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
                Input::Alarm => self.on_alarm(),
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
            Some(()) = inbox.signals.recv() => Input::Signal,
            Some(reported) = inbox.reports.recv() => Input::Report(reported),
            () = until(alarm) => Input::Alarm,
            Some(asked) = inbox.questions.recv() => Input::Question(asked),
            Some(probed) = inbox.probes.recv() => Input::Probe(probed),
            Some(plan) = next_plan(&mut inbox.plans) => Input::Plan(Box::new(plan)),
            () = tokio::time::sleep(STOP_NEWS), if self.machine.is_quitting() => Input::StopNews,
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
            for action in self.machine.step(Instant::now(), event) {
                finished |= action == Action::Finish;
                self.act(action, &mut end, &mut events);
            }
        }
        self.settle();
        finished
    }

    fn act(&mut self, action: Action, end: &mut Option<Burial>, events: &mut VecDeque<Event>) {
        match action {
            Action::Spawn { name, epoch } => self.spawn(name, epoch, events),
            Action::Terminate { name, epoch } => {
                if let Some(incarnation) = self.incarnation(&name, epoch) {
                    incarnation.terminate();
                }
                self.tell_of_stop();
            }
            Action::Kill { name, epoch } => {
                tracing::warn!(component = name, "is killed");
                if let Some(incarnation) = self.incarnation(&name, epoch) {
                    incarnation.kill();
                }
            }
            Action::Abandon { name, epoch } => {
                tracing::error!(component = name, "cannot even be killed; it is left behind");
                if self.incarnation(&name, epoch).is_some() {
                    self.incarnations.remove(&name);
                }
                self.outcome.abandoned.push(name);
            }
            Action::Alarm { name, token, at } => {
                self.alarms.insert(name, (at, token));
            }
            Action::Changed { name, epoch, from, to, why } => {
                self.close_if_stopped(&name);
                let ended = end.take_if(|end| end.name == name);
                self.tell_of_change(Change { name, epoch, from, to, why }, ended);
            }
            Action::Forget { name } => {
                self.alarms.remove(&name);
                tracing::info!(component = name, "is not in the plan any more");
            }
            Action::Finish => {}
        }
    }

    fn spawn(&mut self, name: String, epoch: u64, events: &mut VecDeque<Event>) {
        let Some(component) = self.machine.component(&name) else { return };
        let spec = component.spec.clone();
        let around = Surroundings {
            run_id: self.plan.run_id,
            claim: &self.claim,
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

    fn on_report(&mut self, Reported { name, epoch, report }: Reported) -> bool {
        let event = match report {
            Report::Said(Said::Ready) if self.is_probed(&name) => return false,
            Report::Said(Said::Ready) => Event::Ready { name, epoch },
            Report::Said(Said::Status(text)) => Event::Said { name, epoch, text: self.masked(&text) },
            Report::Said(Said::Stopping) => Event::Leaving { name, epoch },
            Report::Said(Said::Alive) => Event::Alive { name, epoch },
            Report::Said(Said::Extend(by)) => Event::Extend { name, epoch, by },
            Report::Said(Said::Stuck) => {
                Event::Unhealthy { name, epoch, reason: "said that it is stuck".to_owned() }
            }
            Report::Answered(answer) => return self.on_answer(name, epoch, answer),
            Report::Exited(death) => {
                self.unread_ends += 1;
                return self.on_death(name, epoch, death);
            }
            Report::LastLines { exit, lines } => {
                self.unread_ends -= 1;
                return self.on_last_lines(name, epoch, exit, lines);
            }
        };
        self.feed(event)
    }

    /// Whether it is asked if it serves; then its own word does not count.
    fn is_probed(&self, name: &str) -> bool {
        let component = self.machine.component(name);
        component.is_some_and(|component| matches!(component.spec.readiness, Readiness::Probe(_)))
    }

    /// An answer of an earlier process is dropped here, and what is told of it by the machine.
    fn on_answer(&mut self, name: String, epoch: u64, answer: Answer) -> bool {
        if self.incarnation(&name, epoch).is_none() {
            return false;
        }
        let Answer { kind, took, result, verdict } = answer;
        let result = result.map_err(|reason| self.masked(&reason));
        let reason = result.as_ref().err().cloned().unwrap_or_default();
        let at = self.clock.now();
        let component = name.clone();
        self.observe(Observation::Probed(events::Probed { at, component, epoch, kind, took, result }));
        let event = match (kind, verdict) {
            (_, None) | (ProbeKind::Liveness, Some(Verdict::Well)) => return false,
            (ProbeKind::Readiness, Some(Verdict::Well)) => Event::Ready { name, epoch },
            (ProbeKind::Readiness, Some(Verdict::Unwell)) => Event::Unready { name, epoch, reason },
            (ProbeKind::Liveness, Some(Verdict::Unwell)) => Event::Unhealthy { name, epoch, reason },
        };
        self.feed(event)
    }

    /// What others say is shown, and may hold what nobody is to see.
    fn masked(&self, text: &str) -> String {
        mask_text(&self.plan.secrets, text)
    }

    fn on_death(&mut self, name: String, epoch: u64, death: Death) -> bool {
        let Some(incarnation) = self.incarnations.remove(&name) else { return false };
        if incarnation.epoch != epoch {
            self.incarnations.insert(name, incarnation);
            return false;
        }
        tracing::info!(component = name, exit = %death.exit, "has ended");
        let stopping = self.machine.component(&name).map(|component| &component.phase);
        let by_itself = !matches!(stopping, Some(Phase::Stopping { then: Then::Stay | Then::Start, .. }));
        let ended = Ended { exit: death.exit, usage: death.usage, lived: death.lived, by_itself };
        let burial = Burial { name: name.clone(), pid: incarnation.pid, ended };
        self.feed_end(Event::Exited { name, epoch, exit: death.exit }, Some(burial))
    }

    fn on_last_lines(&mut self, name: String, epoch: u64, exit: ProcessExit, lines: Vec<String>) -> bool {
        let (line, print) = (last_line(&lines), fingerprint(exit, &lines));
        let finished = self.feed(Event::LastWords { name: name.clone(), epoch, line, print });
        let crashed = self.machine.component(&name).filter(|component| component.has_crashed_in(epoch));
        let same_in_a_row = crashed.map_or(0, |component| component.same_crashes.max(1));
        if let Some(component) = crashed.filter(|component| component.is_same_crash()) {
            let times = component.same_crashes;
            tracing::warn!(component = name, times, "the same crash again and again");
        }
        let at = self.clock.now();
        self.observe(Observation::LastLines(events::LastLines {
            at,
            component: name,
            epoch,
            lines,
            same_in_a_row,
        }));
        finished
    }

    fn on_alarm(&mut self) -> bool {
        let now = Instant::now();
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
        if self.upward.is_heard() && !self.machine.is_quitting() {
            let snapshot = self.snapshot();
            self.upward.changed(&snapshot);
        }
        self.feed(Event::Dependency { name, ok })
    }

    fn on_signal(&mut self) -> bool {
        if !self.machine.is_quitting() {
            return self.quit();
        }
        tracing::warn!("asked to end for the second time; all are killed");
        self.tell(Progress::Killing(self.awaited()));
        self.feed(Event::Kill)
    }

    fn quit(&mut self) -> bool {
        tracing::info!("ending");
        self.upward.stopping();
        // Whoever connects from now on is to be told so, as soon as the component itself does not listen any more.
        self.listeners.keep(std::iter::empty());
        self.feed(Event::Quit)
    }

    fn on_question(&mut self, Asked { request, answer }: Asked) -> bool {
        let (response, finished) = match request {
            Request::Status => (Response::Status { snapshot: self.snapshot() }, false),
            Request::Restart { component } => self.on_verb(component, Verb::Restart),
            Request::Stop { component } => self.on_verb(component, Verb::Stop),
            Request::Start { component } => self.on_verb(component, Verb::Start),
            Request::Down if self.machine.is_quitting() => (Response::Accepted, false),
            Request::Down => (Response::Accepted, self.quit()),
            Request::Reload { plan_only } => self.on_reload(plan_only),
        };
        // Who asked may be gone.
        let _ = answer.send(response);
        finished
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
        matches!(state, Some(State::Stopped | State::Failed))
    }

    fn on_verb(&mut self, name: String, verb: Verb) -> (Response, bool) {
        if let Some(reason) = self.machine.refusal(&name, verb) {
            return (Response::Refused { reason }, false);
        }
        tracing::info!(component = name, ?verb, "asked for by the operator");
        (Response::Accepted, self.feed(Event::Operator { name, verb }))
    }

    fn on_reload(&mut self, plan_only: bool) -> (Response, bool) {
        if self.machine.is_quitting() {
            return (Response::Refused { reason: "everything is being stopped".to_owned() }, false);
        }
        let Some(reload) = &mut self.hooks.reload else {
            return (
                Response::Refused { reason: "this launcher cannot read its configuration again".to_owned() },
                false,
            );
        };
        let plan = match reload() {
            Ok(plan) => plan,
            Err(reason) => return (Response::Refused { reason }, false),
        };
        if plan_only {
            return (Response::Reload { summary: self.compare(&plan) }, false);
        }
        match self.replace(plan) {
            Ok((summary, finished)) => (Response::Reload { summary }, finished),
            Err(reason) => (Response::Refused { reason }, false),
        }
    }

    fn on_plan(&mut self, plan: Plan) -> bool {
        match self.replace(plan) {
            Ok((_, finished)) => finished,
            Err(reason) => {
                tracing::error!(reason, "the new plan contradicts itself; the old one stays in force");
                false
            }
        }
    }

    /// What a new plan does, and which settings it comes from.
    fn compare(&self, plan: &Plan) -> ReloadSummary {
        let settings = differing(&self.plan.settings, &plan.settings);
        ReloadSummary { settings, ..self.machine.compare(&plan.components) }
    }

    /// Puts a plan in force. Its run id and directories are those of the first one: they cannot change under running processes.
    fn replace(&mut self, plan: Plan) -> Result<(ReloadSummary, bool), String> {
        let names: Vec<String> = plan.dependencies.iter().map(|external| external.name.clone()).collect();
        let graph = Graph::new(&plan.components, &names).map_err(|error| error.to_string())?;
        // New sockets are open before the old ones are closed; what cannot be listened on changes nothing.
        let runs = |spec: &&ComponentSpec| {
            matches!(spec.launch, Launch::Command { .. }) && !self.is_down(&spec.name)
        };
        let started = plan.components.iter().filter(runs);
        let listen: Vec<&Listen> = started.flat_map(|spec| &spec.listen).collect();
        self.listeners.open(listen.iter().copied()).map_err(|error| error.to_string())?;
        self.listeners.keep(listen.into_iter());
        let summary = self.compare(&plan);
        tracing::info!(?summary, "a new plan is in force");
        self.logs.set(plan.log_policy, &plan.secrets);
        self.dependencies.replace(&plan.dependencies);
        self.plan.log_policy = plan.log_policy;
        self.plan.secrets = plan.secrets;
        self.plan.settings = plan.settings;
        self.tell(Progress::Reloaded(summary.clone()));
        let event = Event::Replace { components: plan.components, dependencies: names, graph };
        let finished = self.feed(event);
        for (name, incarnation) in &mut self.incarnations {
            if let Some(component) = self.machine.component(name) {
                incarnation.probe(&component.spec, self.plan.run_id);
            }
        }
        Ok((summary, finished))
    }

    /// Says once that everything is up, or cannot come up for now.
    fn settle(&mut self) {
        // What failed is told with its last words, which come a moment after its end.
        let is_open = self.unread_ends > 0 || !self.machine.is_settled();
        if self.settled || self.machine.is_quitting() || is_open {
            return;
        }
        self.settled = true;
        let snapshot = self.snapshot();
        self.upward.ready(&snapshot);
        self.tell(Progress::Settled(snapshot));
    }

    fn tell_of_change(&mut self, change: Change, end: Option<Burial>) {
        let Change { name, epoch, from, to, why } = change;
        // One that a reload took out is forgotten by now; its last change is told all the same.
        let component = self.machine.component(&name);
        let reason = component.and_then(|component| self.machine.reason(component, Instant::now()));
        let pid = end.as_ref().map(|end| end.pid).or(component.and_then(|component| component.pid));
        let config_digest =
            component.map(|component| component.spec.config_digest.clone()).unwrap_or_default();
        tracing::info!(component = name, %from, %to, pid, why, reason, "changed");
        self.observe(Observation::Transition(Transition {
            at: self.clock.now(),
            component: name.clone(),
            epoch,
            from,
            to,
            reason: why,
            pid,
            ended: end.map(|end| end.ended),
            config_digest,
        }));
        self.tell_of_stop();
        if self.upward.is_heard() && !self.machine.is_quitting() {
            let snapshot = self.snapshot();
            self.upward.changed(&snapshot);
        }
        if self.hooks.progress.is_some() {
            self.tell(Progress::Changed(self.snapshot(), name));
        }
    }

    fn observe(&self, observation: Observation) {
        if let Some(observer) = &self.hooks.observer {
            observer.tell(observation);
        }
    }

    fn tell_of_stop(&self) {
        if self.machine.is_quitting() {
            self.tell(Progress::Stopping(self.awaited()));
        }
    }

    fn tell(&self, progress: Progress) {
        if let Some(listener) = &self.hooks.progress {
            // Full: whoever listens is slow, and news are not worth waiting for.
            let _ = listener.try_send(progress);
        }
    }

    /// Who is being stopped.
    fn awaited(&self) -> Vec<Awaited> {
        let now = Instant::now();
        let stopping = self.machine.components().filter_map(|component| match &component.phase {
            Phase::Stopping { until, .. } => Some(Awaited {
                name: component.spec.name.clone(),
                pid: component.pid?,
                grandchildren: self.groups.size(component.pid?).saturating_sub(1),
                seconds_left: ceil_seconds(until.saturating_duration_since(now)),
            }),
            Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Ready { .. }
            | Phase::Unready { .. }
            | Phase::Backoff { .. }
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => None,
        });
        stopping.collect()
    }
}

/// The keys that differ; of a component that is in one of them only, its section.
fn differing(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let section = |key: &str| key.match_indices('.').nth(1).map(|(end, _)| key[..end].to_owned());
    let sections = |settings: &BTreeMap<String, String>| -> BTreeSet<String> {
        settings.keys().filter_map(|key| section(key)).collect()
    };
    let (of_old, of_new) = (sections(old), sections(new));
    let keys = old.keys().chain(new.keys()).filter(|key| old.get(*key) != new.get(*key));
    let shown = |key: &String| match section(key) {
        Some(section) if of_old.contains(&section) != of_new.contains(&section) => section,
        _ => key.clone(),
    };
    keys.map(shown).collect::<BTreeSet<String>>().into_iter().collect()
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// The next plan, or never.
async fn next_plan(plans: &mut Option<mpsc::Receiver<Plan>>) -> Option<Plan> {
    match plans {
        Some(plans) => plans.recv().await,
        None => std::future::pending().await,
    }
}
