//! Stopping everything, including processes that must be killed.

use std::time::{Duration, Instant};

use launcher::supervisor::{ComponentSpec, Outcome, Progress};
use rustix::process::Signal;

use crate::bench::{Bench, block_on, is_alive, is_group_alive, kill, log};
use crate::children::{chatter, script, server};

/// A script that reports when its traps are set; nothing is sent to it before.
async fn running(components: Vec<ComponentSpec>) -> Bench {
    let names: Vec<String> = components.iter().map(|component| component.name.clone()).collect();
    let mut bench = Bench::start(components).await;
    bench.settled().await;
    for name in names {
        bench.logged(&name, "up").await;
    }
    bench
}

#[test]
fn all_end_in_the_reverse_order_of_their_needs() {
    block_on(async {
        let order = tempfile::NamedTempFile::new().unwrap();
        let path = order.path().display();
        let tidy = |name: &str, needs: &[&str]| {
            let text =
                format!("trap 'echo {name} >> {path}; exit 0' TERM; echo up; while :; do sleep 0.01; done");
            let mut spec = script(name, &text);
            spec.needs = needs.iter().map(|need| (*need).to_owned()).collect();
            spec
        };
        let bench = running(vec![tidy("api", &[]), tidy("chat", &["api"]), tidy("web", &["chat"])]).await;
        bench.stop().await;
        assert_eq!(std::fs::read_to_string(order.path()).unwrap(), "web\nchat\napi\n");
    });
}

#[test]
fn who_does_not_end_is_killed_with_its_whole_group_after_its_grace() {
    block_on(async {
        let stubborn = "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo \"up $!\"; while :; do sleep 1; done";
        let mut spec = script("stubborn", stubborn);
        spec.stop_grace = Duration::from_millis(300);
        let bench = running(vec![spec]).await;
        let leader = bench.component("stubborn").await.pid.unwrap();
        let log = bench.log("stubborn");
        let follower: u32 = log.trim().rsplit(' ').next().unwrap().parse().unwrap();
        let asked = Instant::now();
        bench.signal();
        let (outcome, told, _dir) = bench.ended().await;
        assert_eq!(outcome, Outcome::default());
        assert!(
            asked.elapsed() >= Duration::from_millis(300) && asked.elapsed() < Duration::from_millis(1300)
        );
        assert!(!is_alive(leader) && !is_alive(follower));
        let awaited = told.iter().any(|progress| match progress {
            Progress::Stopping(awaited) => {
                awaited.iter().any(|one| one.pid == leader && one.seconds_left == 1)
            }
            _ => false,
        });
        assert!(awaited, "{told:?}");
    });
}

#[test]
fn a_leader_that_ends_at_once_leaves_nobody_behind() {
    block_on(async {
        let split = "(trap '' TERM; echo \"up $$\"; while :; do sleep 1; done) & wait";
        let mut spec = script("split", split);
        spec.stop_grace = Duration::from_millis(300);
        let bench = running(vec![spec]).await;
        let leader = bench.component("split").await.pid.unwrap();
        let asked = Instant::now();
        bench.stop().await;
        assert!(asked.elapsed() >= Duration::from_millis(300), "{:?}", asked.elapsed());
        assert!(!is_group_alive(leader));
    });
}

/// A server that needs a while to end, and reports when it has.
const DRAINS: &str = "trap 'i=0; while [ $i -lt 20 ]; do sleep 0.05; i=$((i+1)); done; echo drained; exit 0' TERM; echo up; while :; do sleep 0.05; done";

#[test]
fn a_server_behind_whatever_started_it_has_its_grace() {
    block_on(async {
        let quoted = DRAINS.replace('\'', "'\\''");
        let wrapped = |name: &str, before: &str, after: &str| {
            script(name, &format!("{before} sh -c '{quoted}' {after}"))
        };
        let bench = running(vec![
            wrapped("shell", "", "; true"),
            wrapped("background", "", "& wait"),
            wrapped("session", "setsid", "& wait"),
            wrapped("empty", "env -i PATH=\"$PATH\" setsid", "& wait"),
        ])
        .await;
        let dir = bench.stop().await;
        for name in ["shell", "background", "session", "empty"] {
            assert!(log(dir.path(), name).contains("drained"), "{name}: {}", log(dir.path(), name));
        }
    });
}

#[test]
fn workers_of_a_main_process_that_crashed_end_in_order_before_it_is_started_again() {
    block_on(async {
        let script_of = |main: &str| format!("sh -c '{}' & sleep 0.3; {main}", DRAINS.replace('\'', "'\\''"));
        let bench = running(vec![script("pool", &script_of("exit 7"))]).await;
        bench.until("pool", |pool| pool.restarts == 1).await;
        let log = bench.log("pool");
        let first = log.split("drained").next().unwrap();
        assert!(log.contains("drained") && first.matches("up").count() == 1, "{log}");
        let error = bench.component("pool").await.last_error.unwrap();
        assert!(error.starts_with("exited with code 7"), "{error}");
        bench.stop().await;
    });
}

#[test]
fn a_stopped_process_is_woken_to_hear_that_it_must_end() {
    block_on(async {
        let bench = running(vec![script(
            "frozen",
            "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done",
        )])
        .await;
        let pid = bench.component("frozen").await.pid.unwrap();
        kill(pid, Signal::STOP);
        let dir = bench.stop().await;
        assert!(log(dir.path(), "frozen").contains("bye"));
    });
}

#[test]
fn the_second_signal_kills_at_once() {
    block_on(async {
        let stubborn = |name| {
            let mut spec = script(name, "trap '' TERM; echo up; while :; do sleep 1; done");
            spec.stop_grace = Duration::from_secs(600);
            spec
        };
        let mut second = stubborn("second");
        second.needs.push("first".to_owned());
        let bench = running(vec![stubborn("first"), second]).await;
        let asked = Instant::now();
        bench.signal();
        bench.signal();
        let (outcome, told, _dir) = bench.ended().await;
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        assert_eq!(outcome, Outcome::default());
        assert!(told.iter().any(|progress| matches!(progress, Progress::Killing(_))));
    });
}

#[test]
fn a_stop_beats_a_restart_that_is_due() {
    block_on(async {
        let mut flapping = script("web", "exit 1");
        flapping.restart.base = Duration::from_secs(600);
        flapping.restart.cap = Duration::from_secs(600);
        let bench = Bench::start(vec![flapping, server("calm", &[])]).await;
        bench.until("web", |web| web.last_error.is_some()).await;
        bench.stop().await;
    });
}

#[test]
fn who_talks_without_end_does_not_suppress_the_news_of_the_stop() {
    block_on(async {
        let mut spec = chatter("chatter");
        spec.stop_grace = Duration::from_millis(3500);
        let mut bench = Bench::start(vec![spec]).await;
        bench.settled().await;
        bench.signal();
        let (_, told, _dir) = bench.ended().await;
        let seconds_left = told.iter().filter_map(|progress| match progress {
            Progress::Stopping(awaited) => awaited.first().map(|one| one.seconds_left),
            _ => None,
        });
        let mut seconds_left: Vec<u64> = seconds_left.collect();
        seconds_left.dedup();
        assert!(seconds_left.starts_with(&[4, 3, 2]), "{seconds_left:?}");
    });
}
