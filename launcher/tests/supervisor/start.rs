//! Start, readiness, dependencies, and the environment of a child.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kit::Exit;
use launcher::supervisor::control::Request;
use launcher::supervisor::status::{DependencyState, State};
use launcher::supervisor::{External, Hooks, Launch, Plan, Progress, supervise_until};
use tokio::sync::mpsc;

use crate::bench::{Bench, block_on, claim, log};
use crate::children::{mute, oneshot, script, server};

#[test]
fn each_starts_when_what_it_needs_has_said_that_it_is_ready() {
    block_on(async {
        let mut bench =
            Bench::start(vec![server("web", &["chat"]), server("chat", &["api"]), server("api", &[])]).await;
        let mut order = Vec::new();
        let settled = loop {
            match bench.progress().await {
                Progress::Settled(snapshot) => break snapshot,
                Progress::Changed(snapshot, name) => {
                    order.push((name.clone(), snapshot.component(&name).unwrap().state))
                }
                other => panic!("{other:?}"),
            }
        };
        let expected: Vec<(String, State)> = ["api", "chat", "web"]
            .into_iter()
            .flat_map(|name| [State::Starting, State::Ready].map(|state| (name.to_owned(), state)))
            .collect();
        assert_eq!(order, expected);
        assert!(settled.is_healthy());
        for component in &settled.components {
            assert!(component.pid.is_some() && component.ready_ms.is_some() && component.uptime_s.is_some());
            assert_eq!(component.restarts, 0);
        }
        bench.until("web", |web| web.status_text.as_deref() == Some("serving")).await;
        bench.stop().await;
    });
}

#[test]
fn who_is_not_ready_in_time_is_ended_and_its_dependents_wait() {
    block_on(async {
        let mut slow = mute("api");
        slow.ready_timeout = Duration::from_millis(50);
        slow.restart.intensity = 1;
        let mut bench = Bench::start(vec![slow, server("chat", &["api"])]).await;
        let settled = bench.settled().await;
        let api = settled.component("api").unwrap();
        assert_eq!((api.state, api.restarts), (State::Failed, 1));
        // Its last lines follow.
        assert!(api.last_error.as_ref().unwrap().starts_with("was not ready within 50ms"), "{api:?}");
        let chat = settled.component("chat").unwrap();
        assert_eq!((chat.state, chat.reason.as_deref()), (State::Waiting, Some("waits for api (failed)")));
        bench.stop().await;
    });
}

#[test]
fn what_is_skipped_is_said_and_what_cannot_be_started_is_given_up() {
    block_on(async {
        let mut skipped = server("bot", &[]);
        skipped.launch = Launch::Skip { reason: "there is no key".to_owned() };
        let mut missing = script("web", "");
        let program = "/nonexistent/program".into();
        missing.launch =
            Launch::Command { program, args: vec![], env: vec![], env_remove: vec![], cwd: None };
        missing.restart.intensity = 1;
        let mut nowhere = script("nowhere", "true");
        if let Launch::Command { cwd, .. } = &mut nowhere.launch {
            *cwd = Some("/nonexistent/directory".into());
        }
        nowhere.restart.intensity = 0;
        let mut bench = Bench::start(vec![skipped, missing, nowhere]).await;
        let settled = bench.settled().await;
        let bot = settled.component("bot").unwrap();
        assert_eq!((bot.state, bot.reason.as_deref()), (State::Skipped, Some("there is no key")));
        let web = settled.component("web").unwrap();
        assert_eq!(web.state, State::Failed);
        let error = settled.component("nowhere").unwrap().last_error.clone().unwrap();
        assert!(error.contains("its working directory /nonexistent/directory"), "{error}");
        assert!(
            web.last_error
                .as_ref()
                .unwrap()
                .starts_with("cannot be started: /nonexistent/program: No such file"),
            "{web:?}"
        );
        bench.stop().await;
    });
}

#[test]
fn who_needs_a_one_shot_starts_when_that_has_finished_and_not_when_it_has_failed() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let flag = dir.path().join("flag");
        let text = format!("echo began; sleep 0.2; test -e {}", flag.display());
        let mut bench = Bench::start(vec![oneshot("migrate", &text), server("api", &["migrate"])]).await;
        let settled = bench.settled().await;
        assert_eq!(settled.component("migrate").unwrap().state, State::Failed);
        let api = settled.component("api").unwrap();
        assert_eq!((api.state, api.reason.as_deref()), (State::Waiting, Some("waits for migrate (failed)")));
        std::fs::write(&flag, "").unwrap();
        bench.ask(Request::Start { component: "migrate".to_owned() }).await;
        bench.until_state("migrate", State::Running).await;
        assert_eq!(bench.component("api").await.state, State::Waiting);
        bench.until_state("api", State::Ready).await;
        let snapshot = bench.snapshot().await;
        assert_eq!(snapshot.component("migrate").unwrap().state, State::Finished);
        assert!(snapshot.is_healthy());
        // A restarted service that needs the one-shot does not wait for another run of it.
        bench.ask(Request::Restart { component: "api".to_owned() }).await;
        let pid = snapshot.component("api").unwrap().pid;
        bench.until("api", |api| api.state == State::Ready && api.pid != pid).await;
        assert_eq!(bench.log("migrate").matches("began").count(), 2);
        bench.stop().await;
    });
}

#[test]
fn a_dependency_that_is_away_is_named_and_waited_for() {
    block_on(async {
        let up = Arc::new(AtomicBool::new(false));
        let probe = Arc::clone(&up);
        let check = move || {
            let up = probe.load(Ordering::SeqCst);
            let answer = async move { if up { Ok(()) } else { Err("refuses connections".to_owned()) } };
            Box::pin(answer) as supervisor::Probe
        };
        let bench = Bench::with(|data| {
            let mut plan = Plan::new(data, vec![server("api", &["mongodb"])]);
            plan.dependencies.push(External { name: "mongodb".to_owned(), check: Arc::new(check) });
            (plan, Hooks::default())
        })
        .await;
        bench.until("api", |api| api.reason.as_deref() == Some("waits for mongodb")).await;
        let degraded = loop {
            let dependency = bench.snapshot().await.dependencies.remove(0);
            if dependency.state != DependencyState::Unknown {
                break dependency;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(degraded.state, DependencyState::Degraded);
        assert_eq!(degraded.reason.as_deref(), Some("refuses connections"));
        up.store(true, Ordering::SeqCst);
        bench.until_state("api", State::Ready).await;
        assert!(bench.snapshot().await.is_healthy());
        bench.stop().await;
    });
}

#[test]
fn a_child_has_its_mark_its_group_its_lifeline_and_no_file_of_ours_but_the_lock() {
    block_on(async {
        // Not through a pipeline, which for a moment is one more pipe of the shell's.
        let look = r#"echo "mark $P2P_RUN"; echo "pids $$ $(ps -o pgid= -p $$)"; echo files; readlink /proc/$$/fd/*; echo done; cat"#;
        let mut bench = Bench::start(vec![script("looking", look)]).await;
        let run_id = bench.settled().await.run_id;
        bench.logged("looking", "done").await;
        let (log, inherited) = (bench.log("looking"), inherited());
        assert!(log.contains(&format!("mark {run_id}/looking")), "{log}");
        let pids: Vec<&str> =
            log.lines().find_map(|l| l.strip_prefix("pids ")).unwrap().split_whitespace().collect();
        assert_eq!(pids[0], pids[1], "a group of its own");
        let files = log.lines().skip_while(|line| *line != "files").skip(1);
        let files: Vec<&str> = files.take_while(|line| *line != "done").collect();
        // If all tests run in one process, a child may inherit the locks of other tests' supervisors, too.
        let lock = bench.dir.path().join("run/children.lock");
        let of_others = |file: &str| file.contains("/run/children.lock") && Path::new(file) != lock;
        let of_ours = |file: &&&str| !inherited.contains(&(**file).to_owned()) && !of_others(file);
        let (pipes, others): (Vec<&str>, Vec<&str>) =
            files.iter().filter(of_ours).copied().partition(|file| file.starts_with("pipe:"));
        assert_eq!(pipes.len(), 3, "standard input, output and error: {files:?}");
        assert_eq!(others, [lock.to_str().unwrap()], "{files:?}");
        bench.stop().await;
    });
}

/// Inherited from whoever started this test; not our responsibility.
fn inherited() -> Vec<String> {
    let is_inherited = |fd: &String| {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
        let flags =
            info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or("02000000").trim().to_owned();
        u32::from_str_radix(&flags, 8).unwrap() & 0o2_000_000 == 0
    };
    let fds = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let fds = fds.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(is_inherited);
    let links = fds.filter_map(|fd| std::fs::read_link(format!("/proc/self/fd/{fd}")).ok());
    links.map(|link| link.to_string_lossy().into_owned()).collect()
}

#[test]
fn a_plan_that_contradicts_itself_is_a_mistake_of_the_configuration() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan::new(dir.path(), vec![server("a", &["b"]), server("b", &["a"])]);
        let claim = claim(dir.path()).await.unwrap();
        let (_signals, signalled) = mpsc::channel(1);
        let failure = supervise_until(plan, claim, Hooks::default(), signalled).await.unwrap_err();
        assert_eq!(failure.exit(), Exit::Config);
        assert!(failure.to_string().contains("a, b"), "{failure}");
    });
}

#[test]
fn secrets_are_masked_and_a_flood_holds_up_nobody() {
    block_on(async {
        let flood = "i=0; while [ $i -lt 20000 ]; do echo \"$i the secret is hunter22\"; i=$((i+1)); done; echo done; cat";
        let mut bench = Bench::with(|data| {
            let mut plan = Plan::new(data, vec![script("flood", flood), server("calm", &[])]);
            plan.secrets.push(kit::Secret::new("hunter22".to_owned()));
            (plan, Hooks::default())
        })
        .await;
        bench.settled().await;
        bench.logged("flood", "done\n").await;
        assert_eq!(bench.component("flood").await.log.dropped_lines, 0);
        let dir = bench.stop().await;
        let log = log(dir.path(), "flood");
        assert_eq!(log.matches("the secret is ***\n").count(), 20_000);
        assert!(!log.contains("hunter"));
    });
}
