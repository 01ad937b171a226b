//! Children that end by themselves.

use std::time::{Duration, Instant};

use launcher::supervisor::control::Request;
use launcher::supervisor::status::State;
use rustix::process::Signal;

use crate::bench::{Bench, block_on, is_alive, kill, wait_for};
use crate::children::{script, server};

#[test]
fn a_killed_child_is_back_within_a_second_and_the_others_notice_nothing() {
    block_on(async {
        let mut bench =
            Bench::start(vec![server("api", &[]), server("chat", &["api"]), server("web", &["chat"])]).await;
        let before = bench.settled().await;
        for name in ["web", "api", "chat"] {
            let pid = before.component(name).unwrap().pid.unwrap();
            let killed = Instant::now();
            kill(pid, Signal::KILL);
            let back = bench.until(name, |status| status.restarts == 1 && status.state == State::Ready).await;
            assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
            assert_ne!(back.pid, Some(pid));
            let error = back.last_error.unwrap();
            assert!(error.starts_with("was killed by SIGKILL"), "{error}");
        }
        let after = bench.snapshot().await;
        assert!(after.components.iter().all(|component| component.restarts == 1), "{after:?}");
        bench.stop().await;
    });
}

#[test]
fn a_crash_loop_ends_as_failed_and_says_why() {
    block_on(async {
        let mut flapping = script("web", "echo it begins; echo 'cannot bind port 8080' >&2; exit 3");
        flapping.restart.base = Duration::from_millis(1);
        let mut bench = Bench::start(vec![flapping, server("calm", &[])]).await;
        let settled = bench.settled().await;
        let web =
            bench.until("web", |web| web.reason.as_ref().is_some_and(|reason| reason.contains("bind"))).await;
        assert_eq!((web.state, web.restarts), (State::Failed, 5));
        let reason = web.reason.unwrap();
        let given_up =
            "gave up after 5 restarts within 1m; the last time it exited with code 3: cannot bind port 8080";
        assert!(reason.starts_with(given_up), "{reason}");
        assert!(reason.contains("same crash") && reason.contains("times in a row"), "{reason}");
        assert_eq!(web.last_error.as_deref(), Some("exited with code 3: cannot bind port 8080"));
        assert_eq!(bench.log("web").matches("it begins").count(), 6);
        assert_eq!(settled.component("calm").unwrap().restarts, 0);
        bench.stop().await;
    });
}

#[test]
fn a_wrong_configuration_is_not_tried_again() {
    block_on(async {
        let bench = Bench::start(vec![script("web", "exit 78")]).await;
        assert_eq!(bench.until_state("web", State::Failed).await.restarts, 0);
        bench.stop().await;
    });
}

#[test]
fn an_end_is_seen_though_a_descendant_holds_the_pipes_and_the_descendant_is_killed() {
    block_on(async {
        let leaky = "sleep 600 & echo \"sleeper $!\"; exit 7";
        let mut spec = script("leaky", leaky);
        spec.restart.intensity = 0;
        let started = Instant::now();
        let mut bench = Bench::start(vec![spec]).await;
        bench.settled().await;
        assert!(started.elapsed() < Duration::from_secs(5));
        let error = bench
            .until("leaky", |leaky| leaky.last_error.as_ref().is_some_and(|e| e.contains("sleeper")))
            .await;
        let line = error.last_error.unwrap();
        let sleeper: u32 = line.rsplit(' ').next().unwrap().parse().unwrap();
        wait_for(|| !is_alive(sleeper)).await;
        bench.stop().await;
    });
}

/// The files that this process has open.
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_hundred_crashes_leave_no_file_open_and_no_zombie() {
    block_on(async {
        let mut flapping = script("web", "echo again; exit 1");
        flapping.restart.base = Duration::ZERO;
        flapping.restart.intensity = 100;
        let mut bench = Bench::start(vec![script("calm", "cat"), flapping]).await;
        let before = bench.until("calm", |calm| calm.state == State::Ready).await;
        bench.settled().await;
        let web = bench.until_state("web", State::Failed).await;
        assert_eq!(web.restarts, 100);
        assert_eq!(bench.component("calm").await.pid, before.pid);
        // The pipe of the last one, and the connections of the requests, are closed a moment later.
        let few = open_files();
        wait_for(|| open_files() <= few).await;
        bench.ask(Request::Start { component: "web".to_owned() }).await;
        bench.until("web", |web| web.state == State::Failed && web.restarts == 200).await;
        wait_for(|| open_files() <= few + 2).await;
        let children = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
        assert!(children.split_whitespace().count() <= 1, "{children}");
        bench.stop().await;
    });
}
