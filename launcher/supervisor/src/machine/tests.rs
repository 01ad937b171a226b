//! Tests of the machine in named situations.

use std::time::{Duration, Instant};

use super::testing::component;
use super::{Action, Event, Machine, Phase, Verb};
use crate::exit::ProcessExit;
use crate::oom::Oom;
use crate::schedule::Schedule;
use crate::spec::{
    ComponentKind, ComponentSpec, EndsAll, Launch, Overlap, RestartPolicy, RestartWhen, ScheduleSpec,
};
use crate::status::State;

/// A machine with a clock, and its last actions.
struct Bench {
    machine: Machine,
    now: Instant,
    actions: Vec<Action>,
}

impl Bench {
    fn new(components: Vec<ComponentSpec>, dependencies: &[&str]) -> Self {
        let dependencies: Vec<String> = dependencies.iter().map(|name| (*name).to_owned()).collect();
        let machine = Machine::new(components, &dependencies, || 0.5).unwrap();
        let mut bench = Self { machine, now: Instant::now(), actions: Vec::new() };
        bench.step(Event::Begin);
        bench
    }

    fn step(&mut self, event: Event) {
        self.actions = self.machine.step(self.now, event);
    }

    fn epoch(&self, name: &str) -> u64 {
        self.machine.component(name).unwrap().epoch
    }

    fn state(&self, name: &str) -> State {
        self.machine.component(name).unwrap().state()
    }

    fn ready(&mut self, name: &str) {
        self.step(Event::Ready { name: name.to_owned(), epoch: self.epoch(name) });
    }

    fn exit(&mut self, name: &str, exit: ProcessExit) {
        self.step(Event::Exited { name: name.to_owned(), epoch: self.epoch(name), exit, oom: Oom::None });
    }

    fn operator(&mut self, name: &str, verb: Verb) {
        self.step(Event::Operator { name: name.to_owned(), verb });
    }

    /// Fires the last alarm at its time.
    fn ring(&mut self) {
        let alarm = self.actions.iter().find_map(|action| match action {
            Action::Alarm { name, token, at } => Some((name.clone(), *token, *at)),
            _ => None,
        });
        let (name, token, at) = alarm.expect("an alarm was set");
        self.now = at;
        self.step(Event::Alarm { name, token });
    }

    fn spawned(&self) -> Vec<&str> {
        fn spawn(action: &Action) -> Option<&str> {
            if let Action::Spawn { name, .. } = action { Some(name) } else { None }
        }
        self.actions.iter().filter_map(spawn).collect()
    }

    fn terminated(&self) -> Vec<&str> {
        fn terminate(action: &Action) -> Option<&str> {
            if let Action::Terminate { name, .. } = action { Some(name) } else { None }
        }
        self.actions.iter().filter_map(terminate).collect()
    }

    fn reason(&self, name: &str) -> String {
        let component = self.machine.component(name).unwrap();
        self.machine.reason(component, self.now).unwrap_or_default()
    }
}

fn chain() -> Vec<ComponentSpec> {
    vec![component("api", &["mongodb"]), component("chat", &["api"]), component("web", &["chat"])]
}

/// All three components of the chain are ready.
fn running() -> Bench {
    let mut bench = Bench::new(chain(), &["mongodb"]);
    bench.step(Event::Dependency { name: "mongodb".to_owned(), ok: true });
    for name in ["api", "chat", "web"] {
        bench.ready(name);
    }
    assert!(bench.machine.is_settled());
    bench
}

#[test]
fn each_starts_when_all_that_it_needs_is_ready() {
    let mut bench = Bench::new(chain(), &["mongodb"]);
    assert!(bench.spawned().is_empty());
    assert_eq!(bench.reason("api"), "waits for mongodb");
    assert_eq!(bench.reason("chat"), "waits for api (waiting)");
    bench.step(Event::Dependency { name: "mongodb".to_owned(), ok: true });
    assert_eq!(bench.spawned(), ["api"]);
    bench.ready("api");
    assert_eq!(bench.spawned(), ["chat"]);
    bench.ready("chat");
    assert_eq!(bench.spawned(), ["web"]);
}

#[test]
fn all_end_in_the_reverse_order() {
    let mut bench = running();
    bench.step(Event::Quit);
    for (name, next) in [("web", "chat"), ("chat", "api")] {
        assert_eq!(bench.terminated(), [name]);
        bench.exit(name, ProcessExit::Code(0));
        assert_eq!(bench.terminated(), [next]);
    }
    bench.exit("api", ProcessExit::Code(0));
    assert_eq!(bench.actions.last(), Some(&Action::Finish));
}

#[test]
fn a_crash_is_followed_by_a_restart_and_leaves_the_others_alone() {
    let mut bench = running();
    bench.exit("api", ProcessExit::Signal(9));
    assert_eq!(bench.state("api"), State::Backoff);
    assert_eq!(bench.state("chat"), State::Ready);
    assert_eq!(bench.reason("api"), "restarts in 0.2 s");
    bench.ring();
    assert_eq!(bench.spawned(), ["api"]);
    let api = bench.machine.component("api").unwrap();
    assert_eq!((api.restarts, api.last_error.as_deref()), (1, Some("was killed by SIGKILL")));
}

#[test]
fn who_crashes_while_its_need_is_away_waits_for_it() {
    let mut bench = running();
    bench.step(Event::Dependency { name: "mongodb".to_owned(), ok: false });
    bench.exit("api", ProcessExit::Code(69));
    bench.ring();
    assert!(bench.spawned().is_empty());
    assert_eq!(bench.reason("api"), "waits for mongodb");
    bench.step(Event::Dependency { name: "mongodb".to_owned(), ok: true });
    assert_eq!(bench.spawned(), ["api"]);
}

#[test]
fn who_crashes_too_often_is_given_up_until_the_operator_starts_it() {
    let mut bench = Bench::new(vec![component("api", &[]), component("chat", &["api"])], &[]);
    for _ in 0..5 {
        bench.exit("api", ProcessExit::Code(1));
        bench.ring();
        assert_eq!(bench.spawned(), ["api"]);
    }
    bench.exit("api", ProcessExit::Code(1));
    assert_eq!(bench.state("api"), State::Failed);
    assert!(bench.machine.is_settled());
    bench.step(Event::LastWords {
        name: "api".to_owned(),
        epoch: bench.epoch("api"),
        line: Some("boom".to_owned()),
        print: None,
    });
    assert_eq!(
        bench.reason("api"),
        "gave up after 5 restarts within 1m; the last time it exited with code 1: boom"
    );
    bench.operator("api", Verb::Start);
    assert_eq!(bench.spawned(), ["api"]);
}

#[test]
fn crashes_are_forgotten_after_a_time_spent_ready() {
    let mut bench = Bench::new(vec![component("api", &[])], &[]);
    for _ in 0..20 {
        bench.ready("api");
        bench.now += Duration::from_secs(60);
        bench.exit("api", ProcessExit::Code(1));
        assert_eq!(bench.reason("api"), "restarts in 0.0 s");
        bench.ring();
    }
}

#[test]
fn who_was_ready_is_restarted_at_once_the_first_time_and_with_a_backoff_after_that() {
    let mut bench = Bench::new(vec![component("api", &[])], &[]);
    let mut crash = |life| {
        bench.ready("api");
        bench.now += Duration::from_millis(life);
        bench.exit("api", ProcessExit::Code(1));
        let crashed = bench.now;
        bench.ring();
        assert_eq!(bench.spawned(), ["api"]);
        (bench.now - crashed).as_millis()
    };
    assert_eq!([crash(2000), crash(2000), crash(2000)], [0, 200, 400]);
    assert_eq!([crash(61_000), crash(100)], [0, 200]);
    assert_eq!([crash(61_000), crash(59_000)], [0, 200]);
    assert_eq!([crash(61_000), crash(61_000)], [0, 0]);
}

#[test]
fn who_crashes_at_its_start_waits_for_the_backoff() {
    for is_ready in [true, false] {
        let mut bench = Bench::new(vec![component("api", &[])], &[]);
        if is_ready {
            bench.ready("api");
        }
        bench.now += Duration::from_millis(if is_ready { 199 } else { 9000 });
        bench.exit("api", ProcessExit::Code(1));
        assert_eq!(bench.reason("api"), "restarts in 0.2 s", "{is_ready}");
    }
}

#[test]
fn a_wrong_configuration_is_not_tried_again() {
    let mut bench = Bench::new(vec![component("api", &[])], &[]);
    bench.exit("api", ProcessExit::Code(78));
    assert_eq!(bench.state("api"), State::Failed);
    assert_eq!(bench.reason("api"), "configuration error: exited with code 78");
}

#[test]
fn who_is_not_ready_in_time_is_ended_and_counts_as_crashed() {
    let mut bench = Bench::new(vec![component("api", &[])], &[]);
    bench.ring();
    assert_eq!(bench.terminated(), ["api"]);
    bench.ring();
    assert!(bench.actions.contains(&Action::Kill { name: "api".to_owned(), epoch: 1 }));
    bench.exit("api", ProcessExit::Signal(9));
    assert_eq!(bench.state("api"), State::Backoff);
    let error = bench.machine.component("api").unwrap().last_error.clone();
    assert_eq!(error.as_deref(), Some("was not ready within 10s"));
}

#[test]
fn what_a_main_process_leaves_behind_has_its_time_to_end_and_then_the_crash_counts() {
    let mut bench = Bench::new(vec![component("api", &[])], &[]);
    bench.ready("api");
    let gone = Event::MainExited { name: "api".to_owned(), epoch: 1, exit: ProcessExit::Code(7) };
    bench.step(gone.clone());
    assert_eq!((bench.state("api"), bench.terminated()), (State::Stopping, vec!["api"]));
    assert!(bench.reason("api").contains("killed in 5 s"), "{}", bench.reason("api"));
    bench.ring();
    assert!(bench.actions.contains(&Action::Kill { name: "api".to_owned(), epoch: 1 }));
    bench.exit("api", ProcessExit::Code(7));
    assert_eq!(bench.state("api"), State::Backoff);
    let error = bench.machine.component("api").unwrap().last_error.clone();
    assert_eq!(error.as_deref(), Some("exited with code 7"));
    // Those that were asked to end together with it are not asked again.
    bench.ring();
    bench.operator("api", Verb::Stop);
    bench.step(Event::MainExited { name: "api".to_owned(), epoch: 2, exit: ProcessExit::Code(0) });
    assert!(bench.actions.is_empty(), "{:?}", bench.actions);
    bench.exit("api", ProcessExit::Code(0));
    assert_eq!(bench.state("api"), State::Stopped);
}

#[test]
fn who_needs_a_one_shot_waits_until_it_has_finished_with_0() {
    let mut plan = vec![component("migrate", &[]), component("api", &["migrate"])];
    plan[0].kind = ComponentKind::Oneshot;
    plan[0].restart.when = RestartWhen::Never;
    let mut bench = Bench::new(plan.clone(), &[]);
    bench.ready("migrate");
    assert_eq!((bench.state("migrate"), bench.spawned()), (State::Running, Vec::new()));
    assert!(!bench.machine.is_settled());
    bench.exit("migrate", ProcessExit::Code(1));
    assert_eq!(
        (bench.state("migrate"), bench.reason("api")),
        (State::Failed, "waits for migrate (failed)".to_owned())
    );
    bench.operator("migrate", Verb::Start);
    bench.ready("migrate");
    bench.exit("migrate", ProcessExit::Code(0));
    assert_eq!((bench.state("migrate"), bench.spawned()), (State::Finished, vec!["api"]));
    // A changed configuration does not start it again; the operator does.
    plan[0].config_digest = "2".to_owned();
    assert_eq!(bench.machine.compare(&plan).changed, ["migrate"]);
    let graph = super::Graph::new(&plan, &[]).unwrap();
    bench.step(Event::Replace { components: plan, dependencies: Vec::new(), graph });
    assert_eq!(bench.state("migrate"), State::Finished);
    bench.operator("migrate", Verb::Restart);
    assert_eq!(bench.spawned(), ["migrate"]);
    assert_eq!(bench.state("api"), State::Starting, "who runs runs on");
}

/// A one-shot that runs by the clock.
fn scheduled(overlap: Overlap) -> ComponentSpec {
    let mut job = component("job", &[]);
    job.kind = ComponentKind::Oneshot;
    job.restart.when = RestartWhen::Never;
    let schedule = Schedule::parse("@daily", Some("UTC")).unwrap();
    job.schedule = Some(ScheduleSpec { schedule, overlap });
    job
}

fn due(bench: &mut Bench) {
    bench.step(Event::Due { name: "job".to_owned() });
}

#[test]
fn what_runs_by_the_clock_runs_when_it_is_due_and_not_before() {
    let mut bench = Bench::new(vec![scheduled(Overlap::Skip)], &[]);
    assert_eq!((bench.state("job"), bench.spawned()), (State::Scheduled, Vec::new()));
    assert!(bench.machine.is_settled());
    for code in [0, 1, 0] {
        due(&mut bench);
        assert_eq!(bench.spawned(), ["job"]);
        bench.ready("job");
        bench.exit("job", ProcessExit::Code(code));
        let state = if code == 0 { State::Finished } else { State::Failed };
        assert_eq!((bench.state("job"), bench.spawned()), (state, Vec::new()));
    }
    bench.operator("job", Verb::Stop);
    due(&mut bench);
    assert_eq!((bench.state("job"), bench.spawned()), (State::Stopped, Vec::new()));
    bench.operator("job", Verb::Start);
    assert_eq!((bench.state("job"), bench.spawned()), (State::Scheduled, Vec::new()), "its schedule goes on");
    bench.operator("job", Verb::Restart);
    assert_eq!(bench.spawned(), ["job"], "the operator need not wait");
}

#[test]
fn a_run_that_is_due_during_another_one_is_skipped_or_waits() {
    for (overlap, more, skipped) in [(Overlap::Skip, 0, 3), (Overlap::Queue, 1, 2)] {
        let mut bench = Bench::new(vec![scheduled(overlap)], &[]);
        due(&mut bench);
        bench.ready("job");
        for _ in 0..3 {
            due(&mut bench);
            assert_eq!(bench.spawned(), Vec::<&str>::new());
        }
        assert_eq!(bench.machine.component("job").unwrap().skipped_runs, skipped);
        bench.exit("job", ProcessExit::Code(0));
        assert_eq!(bench.spawned().len(), more);
        if more > 0 {
            bench.ready("job");
            bench.exit("job", ProcessExit::Code(0));
        }
        assert_eq!((bench.state("job"), bench.spawned()), (State::Finished, Vec::new()));
    }
}

#[test]
fn a_reload_gives_and_takes_a_schedule_and_runs_nothing_for_that() {
    let replace = |bench: &mut Bench, spec: ComponentSpec| {
        let graph = super::Graph::new(std::slice::from_ref(&spec), &[]).unwrap();
        bench.step(Event::Replace { components: vec![spec], dependencies: Vec::new(), graph });
    };
    let mut bench = Bench::new(vec![scheduled(Overlap::Skip)], &[]);
    let edited = ComponentSpec { config_digest: "2".to_owned(), ..scheduled(Overlap::Queue) };
    assert_eq!(bench.machine.compare(std::slice::from_ref(&edited)).changed, ["job"]);
    replace(&mut bench, edited.clone());
    assert_eq!((bench.state("job"), bench.spawned()), (State::Scheduled, Vec::new()));
    replace(&mut bench, ComponentSpec { schedule: None, ..edited });
    assert_eq!(bench.spawned(), ["job"], "without a schedule it is a one-shot that has not run yet");
}

#[test]
fn a_changed_file_restarts_who_runs_or_would_and_nobody_else() {
    let touch = |bench: &mut Bench| {
        bench.step(Event::Touched { name: "web".to_owned(), why: "a.rs has changed".to_owned() })
    };
    let never = RestartPolicy { when: RestartWhen::Never, ..RestartPolicy::default() };
    let mut bench = Bench::new(vec![ComponentSpec { restart: never, ..component("web", &[]) }], &[]);
    bench.ready("web");
    touch(&mut bench);
    let why = bench.actions.iter().find_map(|action| match action {
        Action::Changed { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert_eq!((bench.state("web"), why.as_deref()), (State::Stopping, Some("a.rs has changed")));
    bench.exit("web", ProcessExit::Code(0));
    assert_eq!(bench.spawned(), ["web"]);
    bench.exit("web", ProcessExit::Code(1));
    assert_eq!(bench.state("web"), State::Failed);
    touch(&mut bench);
    assert_eq!(bench.spawned(), ["web"], "the mistake may be mended");
    bench.operator("web", Verb::Stop);
    touch(&mut bench);
    bench.exit("web", ProcessExit::Code(0));
    touch(&mut bench);
    assert_eq!((bench.state("web"), bench.spawned()), (State::Stopped, Vec::new()));
}

#[test]
fn a_standstill_of_our_own_is_nobodys_delay() {
    let mut silent = component("api", &[]);
    silent.watchdog = Some(Duration::from_secs(20));
    let mut bench = Bench::new(vec![silent], &[]);
    bench.now += Duration::from_secs(600);
    bench.step(Event::Standstill);
    assert!(bench.actions.iter().any(
        |action| matches!(action, Action::Alarm { at, .. } if *at == bench.now + Duration::from_secs(10))
    ));
    bench.ready("api");
    bench.now += Duration::from_secs(600);
    bench.step(Event::Standstill);
    let begun = bench.now;
    bench.ring();
    assert_eq!(bench.now, begun + Duration::from_secs(20), "it has its whole time again");
    assert_eq!(bench.terminated(), ["api"]);
    bench.now += Duration::from_secs(600);
    bench.step(Event::Standstill);
    assert!(bench.reason("api").contains("killed in 5 s"), "{}", bench.reason("api"));
}

#[test]
fn a_stop_beats_a_restart_in_flight() {
    let mut bench = running();
    bench.operator("web", Verb::Restart);
    bench.operator("web", Verb::Stop);
    bench.exit("web", ProcessExit::Code(0));
    assert_eq!(bench.state("web"), State::Stopped);
    assert!(bench.spawned().is_empty());
    bench.operator("web", Verb::Start);
    bench.exit("web", ProcessExit::Code(1));
    let stale = bench.actions.clone();
    bench.operator("web", Verb::Stop);
    bench.actions = stale;
    bench.ring();
    assert_eq!(bench.state("web"), State::Stopped);
}

#[test]
fn what_an_earlier_incarnation_says_is_dropped() {
    let mut bench = running();
    let old = bench.epoch("web");
    bench.exit("web", ProcessExit::Code(1));
    bench.ring();
    bench.step(Event::Ready { name: "web".to_owned(), epoch: old });
    assert_eq!(bench.state("web"), State::Starting);
    bench.step(Event::Exited {
        name: "web".to_owned(),
        epoch: old,
        exit: ProcessExit::Code(0),
        oom: Oom::None,
    });
    assert_eq!(bench.state("web"), State::Starting);
}

#[test]
fn a_process_that_survives_kill_is_abandoned_only_when_all_ends() {
    let mut bench = Bench::new(vec![component("api", &[])], &[]);
    bench.operator("api", Verb::Restart);
    bench.ring();
    for _ in 0..3 {
        bench.ring();
        assert_eq!(bench.state("api"), State::Stopping);
        assert!(bench.spawned().is_empty());
    }
    let pending = bench.actions.clone();
    let who = Some("pid 12 (user root: sleep 600)".to_owned());
    bench.step(Event::Unkillable { name: "api".to_owned(), epoch: 1, who: who.clone().unwrap() });
    assert!(bench.reason("api").contains("still running: pid 12 (user root: sleep 600)"));
    bench.step(Event::Quit);
    bench.actions = pending;
    bench.ring();
    assert!(bench.actions.contains(&Action::Abandon { name: "api".to_owned(), epoch: 1, who }));
    assert_eq!(bench.actions.last(), Some(&Action::Finish));
}

#[test]
fn the_second_signal_kills_all_at_once() {
    let mut bench = running();
    bench.step(Event::Quit);
    bench.step(Event::Kill);
    let killed = bench.actions.iter().filter(|action| matches!(action, Action::Kill { .. })).count();
    assert_eq!(killed, 3);
}

#[test]
fn what_needs_something_skipped_is_skipped_too() {
    let mut plan = chain();
    plan[1].launch = Launch::Skip { reason: "switched off".to_owned() };
    let bench = Bench::new(plan, &["mongodb"]);
    assert_eq!(bench.state("web"), State::Skipped);
    assert_eq!(bench.reason("web"), "needs chat, which is disabled");
    assert!(bench.machine.refusal("web", Verb::Start).unwrap().contains("which is disabled"));
}

#[test]
fn a_new_plan_touches_only_what_differs() {
    let mut bench = running();
    let mut plan =
        vec![component("api", &["mongodb"]), component("chat", &["api"]), component("bot", &["chat"])];
    plan[1].config_digest = "2".to_owned();
    let summary = bench.machine.compare(&plan);
    assert_eq!(summary.kept, ["api"]);
    assert_eq!(summary.restarted, ["chat"]);
    assert_eq!(summary.started, ["bot"]);
    assert_eq!(summary.stopped, ["web"]);
    let dependencies = vec!["mongodb".to_owned()];
    let graph = super::Graph::new(&plan, &dependencies).unwrap();
    bench.step(Event::Replace { components: plan, dependencies, graph });
    assert_eq!(bench.terminated(), ["chat", "web"]);
    bench.exit("web", ProcessExit::Code(0));
    assert!(bench.machine.component("web").is_none());
    bench.exit("chat", ProcessExit::Code(0));
    assert_eq!(bench.spawned(), ["chat"]);
    bench.ready("chat");
    assert_eq!(bench.spawned(), ["bot"]);
    assert!(matches!(bench.machine.component("api").unwrap().phase, Phase::Ready { .. }));
}

/// The number of starts within a day, if each process becomes ready at once and crashes after this time.
fn starts_in_a_day(life: Duration, policy: RestartPolicy) -> (usize, State) {
    let mut bench = Bench::new(vec![ComponentSpec { restart: policy, ..component("web", &[]) }], &[]);
    let end = bench.now + Duration::from_secs(86_400);
    let mut starts = 0;
    while bench.spawned() == ["web"] && bench.now < end {
        starts += 1;
        bench.ready("web");
        bench.now += life;
        bench.exit("web", ProcessExit::Code(1));
        if bench.state("web") == State::Backoff {
            bench.ring();
        }
    }
    (starts, bench.state("web"))
}

#[test]
fn a_storm_of_crashes_ends_or_is_as_seldom_as_the_policy_says() {
    let defaults = RestartPolicy::default();
    // Short-lived ones fail: five restarts within a minute, and no more.
    for life in [Duration::ZERO, Duration::from_millis(1200)] {
        assert_eq!(starts_in_a_day(life, defaults.clone()), (6, State::Failed));
    }
    // Just past `reset_after`: each crash is the first one. A run of 61 s without a backoff fits 1416.4 times into a day.
    let (starts, state) = starts_in_a_day(Duration::from_secs(61), defaults.clone());
    assert_eq!((starts, state), (1417, State::Starting));
    // Never failed: 0.2 s, 0.4 s … 25.6 s, and from then on one start every 30 s.
    let endless = RestartPolicy { intensity: u32::MAX, ..defaults };
    let growing: f64 = (0..8).map(|n| 0.2 * f64::powi(2.0, n)).sum();
    let expected = 9 + ((86_400.0 - growing) / 30.0) as usize;
    let (starts, _) = starts_in_a_day(Duration::ZERO, endless);
    assert!(starts.abs_diff(expected) <= 1, "{starts} starts, {expected} expected");
}

#[test]
fn who_served_for_long_is_restarted_at_once_again_however_it_ended() {
    let mut bench = Bench::new(vec![component("a", &[])], &[]);
    let policy = RestartPolicy::default();
    for round in 0..4 {
        bench.ready("a");
        bench.now += policy.reset_after;
        if round == 3 {
            let (name, epoch) = ("a".to_owned(), bench.epoch("a"));
            bench.step(Event::Unready { name, epoch, reason: "it does not answer".to_owned() });
        }
        let (name, epoch) = ("a".to_owned(), bench.epoch("a"));
        bench.step(Event::Unhealthy { name, epoch, reason: "it is stuck".to_owned() });
        bench.exit("a", ProcessExit::Signal(15));
        let Phase::Backoff { until } = bench.machine.component("a").unwrap().phase else {
            panic!("it waits")
        };
        assert_eq!(until, bench.now, "round {round}");
        bench.ring();
    }
}

#[test]
fn a_stopped_component_whose_configuration_changes_stays_stopped_and_the_plan_says_so() {
    let mut bench = Bench::new(vec![component("api", &[])], &[]);
    bench.ready("api");
    bench.operator("api", Verb::Stop);
    bench.exit("api", ProcessExit::Code(0));
    let plan = vec![ComponentSpec { config_digest: "2".to_owned(), ..component("api", &[]) }];
    let summary = bench.machine.compare(&plan);
    assert_eq!((summary.changed, summary.restarted), (vec!["api".to_owned()], Vec::new()));
    let graph = super::Graph::new(&plan, &[]).unwrap();
    bench.step(Event::Replace { components: plan, dependencies: Vec::new(), graph });
    assert_eq!((bench.spawned().len(), bench.state("api")), (0, State::Stopped));
}

#[test]
fn what_does_not_start_by_itself_waits_for_the_operator_and_for_its_needs() {
    let tool = ComponentSpec { autostart: false, ..component("tool", &["api"]) };
    let mut bench = Bench::new(vec![component("api", &[]), tool.clone()], &[]);
    bench.ready("api");
    assert_eq!((bench.spawned().len(), bench.state("tool")), (0, State::Stopped));
    assert!(bench.machine.is_settled());
    bench.operator("tool", Verb::Start);
    assert_eq!(bench.spawned(), ["tool"]);
    // A reload neither starts one that is new nor one that is stopped.
    let new = ComponentSpec { name: "new".to_owned(), ..tool.clone() };
    let plan = vec![component("api", &[]), tool, new];
    let summary = bench.machine.compare(&plan);
    assert_eq!(summary.kept, ["api", "tool", "new"]);
    let graph = super::Graph::new(&plan, &[]).unwrap();
    bench.step(Event::Replace { components: plan, dependencies: Vec::new(), graph });
    assert_eq!((bench.spawned().len(), bench.state("new")), (0, State::Stopped));
}

#[test]
fn the_end_of_one_can_be_the_end_of_all_and_says_how_it_ended() {
    for (ends_all, exit, is_over) in [
        (EndsAll::GivenUp, 3, true),
        (EndsAll::GivenUp, 0, false),
        (EndsAll::Ended, 0, true),
        (EndsAll::Ended, 4, true),
        (EndsAll::Never, 3, false),
    ] {
        let mut web = ComponentSpec { ends_all, ..component("web", &["api"]) };
        web.restart.when = RestartWhen::Never;
        let mut bench = Bench::new(vec![component("api", &[]), web], &[]);
        bench.ready("api");
        bench.ready("web");
        bench.exit("web", ProcessExit::Code(exit));
        let stops = bench.actions.iter().filter_map(|action| match action {
            Action::StopAll { name, exit, .. } => Some((name.as_str(), *exit)),
            _ => None,
        });
        let expected = is_over.then_some(("web", Some(ProcessExit::Code(exit))));
        assert_eq!(stops.collect::<Vec<_>>(), Vec::from_iter(expected), "{ends_all:?} {exit}");
        assert_eq!(bench.machine.is_quitting(), is_over, "{ends_all:?} {exit}");
        assert_eq!(bench.terminated(), if is_over { vec!["api"] } else { Vec::new() });
    }
}

#[test]
fn a_stop_command_has_the_grace_before_the_signal_and_the_signal_has_it_again() {
    let mut web = component("web", &[]);
    web.stop.command = vec!["stop".into()];
    let grace = web.stop_grace;
    let mut bench = Bench::new(vec![web], &[]);
    bench.ready("web");
    bench.operator("web", Verb::Stop);
    let asked = bench.now;
    bench.ring();
    assert_eq!(bench.now - asked, 2 * grace);
    assert!(bench.actions.iter().any(|action| matches!(action, Action::Kill { .. })));
}
