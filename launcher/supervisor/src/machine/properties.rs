//! Properties that hold for any sequence of events (DESIGN invariant 6).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::testing::{cases, component};
use super::{Action, Event, Graph, Machine, Verb};
use crate::exit::ProcessExit;
use crate::oom::Oom;
use crate::schedule::Schedule;
use crate::spec::{ComponentKind, ComponentSpec, Dependents, EndsAll, Overlap, RestartWhen, ScheduleSpec};
use crate::status::State;

/// An event; the component it happens to is taken modulo their number.
#[derive(Debug, Clone)]
enum Step {
    Ready(usize),
    StaleReady(usize),
    /// A message of a probe, of the process or of its last lines; a stale one is of an earlier incarnation.
    Told(usize, Word, bool),
    Exit(usize, i32),
    StaleExit(usize),
    Alarm(usize),
    StaleAlarm(usize),
    Operator(usize, Verb),
    Dependency(bool),
    Standstill,
    Due(usize),
    Touched(usize),
    Reload(u64, usize),
    Wait(u64),
    Quit,
    Kill,
}

/// A message besides readiness and end.
#[derive(Debug, Clone, Copy)]
enum Word {
    Unready,
    Unhealthy,
    Alive,
    Extend(u64),
    Leaving,
    MainExited,
    Unkillable,
    LastWords(u64),
}

impl Word {
    fn event(self, name: String, epoch: u64) -> Event {
        let reason = "a reason".to_owned();
        match self {
            Self::Unready => Event::Unready { name, epoch, reason },
            Self::Unhealthy => Event::Unhealthy { name, epoch, reason },
            Self::Alive => Event::Alive { name, epoch },
            Self::Extend(seconds) => Event::Extend { name, epoch, by: Duration::from_secs(seconds) },
            Self::Leaving => Event::Leaving { name, epoch },
            Self::Unkillable => Event::Unkillable { name, epoch, who: reason },
            Self::MainExited => Event::MainExited { name, epoch, exit: ProcessExit::Code(1) },
            Self::LastWords(print) => Event::LastWords { name, epoch, line: None, print: Some(print) },
        }
    }
}

fn words() -> impl Strategy<Value = Word> {
    prop_oneof![
        3 => Just(Word::Unready),
        2 => Just(Word::Unhealthy),
        2 => Just(Word::Alive),
        2 => (0..200u64).prop_map(Word::Extend),
        2 => Just(Word::Leaving),
        2 => Just(Word::MainExited),
        1 => Just(Word::Unkillable),
        2 => (0..2u64).prop_map(Word::LastWords),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let verb = prop_oneof![Just(Verb::Start), Just(Verb::Stop), Just(Verb::Restart)];
    let step = prop_oneof![
        6 => (0..30usize).prop_map(Step::Ready),
        1 => (0..30usize).prop_map(Step::StaleReady),
        5 => ((0..30usize), words(), proptest::bool::weighted(0.2)).prop_map(|(i, word, stale)| Step::Told(i, word, stale)),
        4 => ((0..30usize), prop_oneof![Just(0), Just(1), Just(78)]).prop_map(|(i, code)| Step::Exit(i, code)),
        1 => (0..30usize).prop_map(Step::StaleExit),
        5 => (0..30usize).prop_map(Step::Alarm),
        1 => (0..30usize).prop_map(Step::StaleAlarm),
        3 => ((0..30usize), verb).prop_map(|(i, verb)| Step::Operator(i, verb)),
        2 => any::<bool>().prop_map(Step::Dependency),
        1 => Just(Step::Standstill),
        2 => (0..30usize).prop_map(Step::Due),
        1 => (0..30usize).prop_map(Step::Touched),
        1 => ((0..3u64), (0..30usize)).prop_map(|(digest, drop)| Step::Reload(digest, drop)),
        1 => (0..90u64).prop_map(Step::Wait),
        1 => prop_oneof![9 => Just(Step::Wait(1)), 1 => Just(Step::Quit), 1 => Just(Step::Kill)],
    ];
    proptest::collection::vec(step, 0..120)
}

/// A plan without cycles: each component needs some of those before it, the first ones the dependency. Some are there twice, as replicas:
/// who needs one of those needs both.
fn plans() -> impl Strategy<Value = Vec<ComponentSpec>> {
    proptest::collection::vec(any::<u32>(), 1..9).prop_map(|bits| {
        let names = |i: usize| match bits[i] >> 23 & 1 == 1 {
            true => vec![format!("c{i}.1"), format!("c{i}.2")],
            false => vec![format!("c{i}")],
        };
        let needs = |i: usize, bits: u32| -> Vec<String> {
            let earlier = (0..i).filter(|j| bits >> j & 1 == 1).flat_map(names);
            earlier.chain((bits >> 31 == 1).then(|| "db".to_owned())).collect()
        };
        let spec = |(i, name, bits): (usize, String, u32)| {
            let needs = needs(i, bits);
            let mut spec = component(&name, &needs.iter().map(String::as_str).collect::<Vec<_>>());
            let is = |bit: u32| bits >> bit & 1 == 1;
            spec.watchdog = is(30).then(|| Duration::from_secs(20));
            spec.dependents = if is(29) { Dependents::Restart } else { Dependents::Keep };
            spec.ends_all = match (is(23), is(22), is(21)) {
                (true, true, true) => EndsAll::Ended,
                (true, true, false) => EndsAll::GivenUp,
                (true, false, _) | (false, _, _) => EndsAll::Never,
            };
            spec.autostart = !is(25);
            if is(24) {
                spec.stop.command = vec!["stop".into()];
            }
            spec.schedule = is(22).then(|| ScheduleSpec {
                schedule: Schedule::parse("@daily", Some("UTC")).unwrap(),
                overlap: if is(21) { Overlap::Queue } else { Overlap::Skip },
            });
            spec.kind = if is(26) { ComponentKind::Oneshot } else { ComponentKind::Service };
            spec.restart.when = match (is(28), is(27)) {
                (true, true) => RestartWhen::Never,
                (true, false) => RestartWhen::OnFailure,
                (false, _) => RestartWhen::Always,
            };
            spec
        };
        let all = bits
            .iter()
            .enumerate()
            .flat_map(|(i, bits)| names(i).into_iter().map(move |name| (i, name, *bits)));
        all.map(spec).collect()
    })
}

/// The state as the driver would see it, with the invariants.
struct World {
    machine: Machine,
    plan: Vec<ComponentSpec>,
    now: Instant,
    /// The live incarnation of each component, tracked independently of the machine.
    alive: BTreeMap<String, u64>,
    alarms: BTreeMap<String, (u64, Instant)>,
    database: bool,
    finished: bool,
}

impl World {
    fn new(plan: Vec<ComponentSpec>) -> Self {
        let machine = Machine::new(plan.clone(), &["db".to_owned()], || 0.5).unwrap();
        let now = Instant::now();
        let mut world = Self {
            machine,
            plan,
            now,
            alive: BTreeMap::new(),
            alarms: BTreeMap::new(),
            database: false,
            finished: false,
        };
        world.send(Event::Begin);
        world
    }

    fn send(&mut self, event: Event) {
        assert!(!self.finished || self.alive.is_empty());
        let quitting = self.machine.is_quitting();
        let stop = match &event {
            Event::Operator { name, verb: Verb::Stop } => Some(name.clone()),
            _ => None,
        };
        let mut spawned = Vec::new();
        for action in self.machine.step(self.now, event) {
            if let Action::Spawn { name, epoch } = &action {
                spawned.push(Event::Spawned { name: name.clone(), epoch: *epoch, pid: 12 });
            }
            self.obey(action, quitting, stop.as_deref());
        }
        for event in spawned {
            assert!(self.machine.step(self.now, event).is_empty(), "a process is no reason to do anything");
        }
        self.check();
    }

    fn obey(&mut self, action: Action, quitting: bool, stopped: Option<&str>) {
        match action {
            Action::Spawn { name, epoch } => {
                assert!(!quitting, "{name} is started though all is to end");
                assert_ne!(Some(name.as_str()), stopped, "{name} is started by a stop");
                let component = self.machine.component(&name).unwrap();
                for need in &component.spec.needs {
                    let met = match self.machine.component(need) {
                        Some(need) => matches!(need.state(), State::Ready | State::Finished),
                        None => self.database,
                    };
                    assert!(met, "{name} is started before {need} is ready");
                }
                assert_eq!(self.alive.insert(name.clone(), epoch), None, "two of {name}");
            }
            Action::Terminate { name, epoch } | Action::Kill { name, epoch } => {
                assert_eq!(self.alive.get(&name), Some(&epoch), "a signal to nobody");
            }
            Action::Abandon { name, epoch, .. } => {
                assert_eq!(self.alive.remove(&name), Some(epoch));
            }
            Action::Alarm { name, token, at } => {
                self.alarms.insert(name, (token, at));
            }
            Action::Changed { .. } => {}
            Action::StopAll { name, .. } => {
                assert!(!quitting, "{name} ends all though all is to end");
                assert_ne!(self.machine.component(&name).unwrap().spec.ends_all, EndsAll::Never, "{name}");
                assert!(self.machine.is_quitting());
            }
            Action::Forget { name } => assert!(!self.alive.contains_key(&name)),
            Action::Finish => self.finished = true,
        }
    }

    /// The machine's state agrees with ours.
    fn check(&self) {
        for component in self.machine.components() {
            let name = &component.spec.name;
            assert_eq!(component.is_alive(), self.alive.contains_key(name), "{name}");
        }
    }

    fn happen(&mut self, step: Step) {
        let name = |i: usize| self.plan[i % self.plan.len()].name.clone();
        match step {
            Step::Ready(i) => {
                let name = name(i);
                if let Some(epoch) = self.alive.get(&name).copied() {
                    self.send(Event::Ready { name, epoch });
                }
            }
            Step::Told(i, word, stale) => {
                let name = name(i);
                let epoch = self.machine.component(&name).map_or(0, |component| component.epoch);
                self.send(word.event(name, epoch.saturating_sub(u64::from(stale))));
            }
            Step::StaleReady(i) => self.send(Event::Ready { name: name(i), epoch: 0 }),
            Step::Exit(i, code) => {
                let name = name(i);
                if let Some(epoch) = self.alive.remove(&name) {
                    self.send(Event::Exited { name, epoch, exit: ProcessExit::Code(code), oom: Oom::None });
                }
            }
            Step::StaleExit(i) => {
                self.send(Event::Exited {
                    name: name(i),
                    epoch: 0,
                    exit: ProcessExit::Unknown,
                    oom: Oom::None,
                });
            }
            Step::Touched(i) => {
                self.send(Event::Touched { name: name(i), why: "a.rs has changed".to_owned() })
            }
            Step::Due(i) => self.send(Event::Due { name: name(i) }),
            Step::Alarm(i) => self.ring(&name(i)),
            Step::StaleAlarm(i) => self.send(Event::Alarm { name: name(i), token: 0 }),
            Step::Operator(i, verb) => self.send(Event::Operator { name: name(i), verb }),
            Step::Dependency(ok) => {
                self.database = ok;
                self.send(Event::Dependency { name: "db".to_owned(), ok });
            }
            Step::Standstill => self.send(Event::Standstill),
            Step::Reload(digest, drop) => self.reload(digest, drop),
            Step::Wait(seconds) => self.now += Duration::from_secs(seconds),
            Step::Quit => self.send(Event::Quit),
            Step::Kill => self.send(Event::Kill),
        }
    }

    fn ring(&mut self, name: &str) {
        if let Some((token, at)) = self.alarms.remove(name) {
            self.now = self.now.max(at);
            self.send(Event::Alarm { name: name.to_owned(), token });
        }
    }

    /// A plan with other digests, and without one component that no other needs.
    fn reload(&mut self, digest: u64, drop: usize) {
        let mut plan = self.plan.clone();
        let dropped = plan[drop % plan.len()].name.clone();
        if !plan.iter().any(|spec| spec.needs.contains(&dropped)) {
            plan.retain(|spec| spec.name != dropped);
        }
        for (i, spec) in plan.iter_mut().enumerate() {
            spec.config_digest = (digest * i as u64 % 3).to_string();
        }
        let dependencies = vec!["db".to_owned()];
        let graph = Graph::new(&plan, &dependencies).unwrap();
        self.send(Event::Replace { components: plan, dependencies, graph });
    }

    /// Everything stops: processes end when asked, or only when killed, or not even then.
    fn end(&mut self, stubbornness: usize) {
        self.send(Event::Quit);
        let mut rounds = 0;
        while !self.finished {
            rounds += 1;
            assert!(rounds < 200, "the end does not come");
            let name = self.alive.keys().next().cloned().expect("what is not finished is alive");
            match stubbornness % 3 {
                0 => {
                    let place = self.plan.iter().position(|spec| spec.name == name).unwrap();
                    self.happen(Step::Exit(place, 0));
                }
                _ => {
                    let waiting: Vec<String> = self.alarms.keys().cloned().collect();
                    waiting.iter().for_each(|name| self.ring(name));
                }
            }
        }
        assert!(self.alive.is_empty());
    }
}

/// The wait before the restart of a component that crashes after this time.
fn wait_after(world: &mut World, is_ready: bool, life: Duration) -> Duration {
    let (name, epoch) = ("c0".to_owned(), world.alive["c0"]);
    if is_ready {
        world.send(Event::Ready { name: name.clone(), epoch });
    }
    world.now += life;
    world.alive.remove(&name);
    let crashed = world.now;
    world.send(Event::Exited { name: name.clone(), epoch, exit: ProcessExit::Code(1), oom: Oom::None });
    world.ring(&name);
    world.now - crashed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(400, 100_000), ..ProptestConfig::default() })]

    /// Within any row of crashes at most the first restart comes at once, and only after a life as a ready component.
    #[test]
    fn only_the_first_crash_in_a_row_costs_no_wait(lives in proptest::collection::vec((any::<bool>(), 0..90_000u64), 1..40)) {
        let mut spec = component("c0", &[]);
        spec.restart.intensity = u32::MAX;
        let policy = spec.restart.clone();
        let mut world = World::new(vec![spec]);
        let mut is_first = true;
        for (is_ready, life) in lives {
            let life = Duration::from_millis(life);
            is_first |= is_ready && life >= policy.reset_after;
            let wait = wait_after(&mut world, is_ready, life);
            prop_assert_eq!(wait.is_zero(), is_first && is_ready && life >= policy.base);
            is_first = false;
        }
    }

    #[test]
    fn one_instance_in_order_and_an_end(plan in plans(), steps in steps(), stubbornness in 0..3usize) {
        let mut world = World::new(plan);
        for step in steps {
            world.happen(step);
        }
        world.end(stubbornness);
    }

    #[test]
    fn a_stopped_component_stays_stopped(plan in plans(), before in steps(), who in 0..30usize, after in steps()) {
        let mut world = World::new(plan);
        before.into_iter().for_each(|step| world.happen(step));
        if world.machine.is_quitting() {
            return Ok(());
        }
        let name = world.plan[who % world.plan.len()].name.clone();
        world.happen(Step::Operator(who, Verb::Stop));
        for step in after {
            match step {
                Step::Operator(..) | Step::Reload(..) => {}
                Step::Ready(_) | Step::Told(..) | Step::StaleReady(_) | Step::Exit(..) | Step::StaleExit(_) | Step::Alarm(_)
                | Step::StaleAlarm(_) | Step::Standstill | Step::Due(_) | Step::Touched(_) | Step::Dependency(_) | Step::Wait(_) | Step::Quit | Step::Kill => world.happen(step),
            }
            let state = world.machine.component(&name).map(|component| component.state());
            prop_assert!(matches!(state, None | Some(State::Stopped | State::Stopping)), "{state:?}");
        }
    }
}
