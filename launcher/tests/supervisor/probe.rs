//! Probes and watchdogs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use launcher::supervisor::control::{Request, Response};
use launcher::supervisor::status::{ComponentStatus, State};
use launcher::supervisor::{
    Call, ComponentSpec, Hooks, PendingProbe, Plan, ProbeMethod, ProbeResult, ProbeSpec, Readiness,
};

use crate::bench::{Bench, block_on, is_alive};
use crate::children::{mute, pinging, script, server};

/// A frequent probe.
fn probe(ask: ProbeMethod) -> ProbeSpec {
    ProbeSpec {
        ask,
        period: Duration::from_millis(20),
        timeout: Duration::from_secs(10),
        successes: 1,
        failures: 2,
        start_period: Duration::ZERO,
    }
}

/// Succeeds while a file exists.
fn by_file(path: &Path) -> ProbeSpec {
    probe(ProbeMethod::Exec(vec!["test".into(), "-e".into(), path.into()]))
}

/// A probe in our own process.
fn by_call(ask: impl Fn() -> ProbeResult + Send + Sync + 'static) -> ProbeSpec {
    let ask = move |_| -> PendingProbe {
        let answer = ask();
        Box::pin(std::future::ready(answer))
    };
    probe(ProbeMethod::Call(Call { name: "test".to_owned(), ask: Arc::new(ask) }))
}

fn running(name: &str) -> ComponentSpec {
    script(name, "echo up; cat")
}

#[test]
fn readiness_comes_and_goes_with_the_probe_and_nothing_is_restarted() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let flag = dir.path().join("serves");
        let mut web = running("web");
        web.readiness = Readiness::Probe(by_file(&flag));
        let mut page = running("page");
        page.needs.push("web".to_owned());
        let mut bench = Bench::start(vec![web, page]).await;
        bench.logged("web", "up").await;
        assert_eq!(bench.component("web").await.state, State::Starting);
        assert_eq!(bench.component("page").await.state, State::Waiting);
        std::fs::write(&flag, "").unwrap();
        let before = bench.settled().await;
        assert!(before.is_healthy(), "{before:?}");
        std::fs::remove_file(&flag).unwrap();
        let unready = bench.until_state("web", State::Unready).await;
        assert_eq!(unready.reason.as_deref(), Some("its probe exited with code 1"));
        assert!(!bench.snapshot().await.is_healthy());
        std::fs::write(&flag, "").unwrap();
        bench.until_state("web", State::Ready).await;
        let after = bench.snapshot().await;
        for (old, new) in before.components.iter().zip(&after.components) {
            assert_eq!((old.pid, new.restarts), (new.pid, 0), "{}", old.name);
        }
        bench.stop().await;
    });
}

#[test]
fn who_is_not_live_is_started_anew_and_who_was_never_asked_is_not() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let flag = dir.path().join("lives");
        std::fs::write(&flag, "").unwrap();
        let mut web = running("web");
        web.liveness = Some(by_file(&flag));
        web.restart.base = Duration::from_millis(1);
        let mut bench = Bench::start(vec![web, running("calm")]).await;
        bench.settled().await;
        std::fs::remove_file(&flag).unwrap();
        let back = bench.until("web", |web| web.restarts > 0).await;
        assert!(back.last_error.as_ref().is_some_and(|e| e.starts_with("its probe exited")), "{back:?}");
        std::fs::write(&flag, "").unwrap();
        bench.until_state("web", State::Ready).await;
        assert_eq!(bench.component("calm").await.restarts, 0);
        bench.stop().await;
    });
}

#[test]
fn a_call_begins_once_the_component_serves_and_who_refuses_in_time_is_not_restarted() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let flag = dir.path().join("serves");
        let (asked, silent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut web = running("web");
        web.readiness = Readiness::Probe(by_file(&flag));
        web.restart.base = Duration::from_millis(1);
        let (count, is_silent) = (Arc::clone(&asked), Arc::clone(&silent));
        web.liveness = Some(by_call(move || {
            count.fetch_add(1, Ordering::Relaxed);
            if is_silent.load(Ordering::Relaxed) {
                Err("is silent".to_owned())
            } else {
                Ok(Some("refuses".to_owned()))
            }
        }));
        let bench = Bench::start(vec![web]).await;
        bench.logged("web", "up").await;
        assert_eq!(asked.load(Ordering::Relaxed), 0, "it does not serve yet");
        std::fs::write(&flag, "").unwrap();
        bench.until_state("web", State::Ready).await;
        let refuses = |web: &ComponentStatus| {
            web.liveness.as_ref().is_some_and(|liveness| liveness.remark.as_deref() == Some("refuses"))
        };
        bench.until("web", |web| refuses(web) && asked.load(Ordering::Relaxed) > 5).await;
        assert_eq!(bench.component("web").await.restarts, 0);
        silent.store(true, Ordering::Relaxed);
        let back = bench.until("web", |web| web.restarts > 0).await;
        assert!(back.last_error.as_ref().is_some_and(|error| error.starts_with("is silent")), "{back:?}");
        assert!(back.liveness.is_some_and(|liveness| liveness.failures >= 2));
        bench.stop().await;
    });
}

#[test]
fn a_line_of_the_log_says_that_it_serves() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let go = dir.path().join("go");
        let text = format!(
            "echo up; until test -e {}; do sleep 0.01; done; echo 'now serving on 1'; cat",
            go.display()
        );
        let mut web = script("web", &text);
        web.readiness = Readiness::Probe(probe(ProbeMethod::Log("serving on".to_owned())));
        let mut bench = Bench::start(vec![web]).await;
        bench.logged("web", "up").await;
        assert_eq!(bench.component("web").await.state, State::Starting);
        std::fs::write(&go, "").unwrap();
        assert!(bench.settled().await.is_healthy());
        bench.stop().await;
    });
}

#[test]
fn who_gives_no_sign_of_life_is_started_anew_and_who_does_is_left_alone() {
    block_on(async {
        let watched = |mut spec: ComponentSpec| {
            spec.watchdog = Some(Duration::from_millis(600));
            spec
        };
        let mut silent = watched(server("silent", &[]));
        silent.restart.intensity = 1;
        let mut bench = Bench::start(vec![watched(pinging("alive")), silent]).await;
        bench.settled().await;
        let silent = bench.until_state("silent", State::Failed).await;
        assert_eq!(silent.restarts, 1);
        let error = silent.last_error.unwrap();
        assert!(error.starts_with("sent no watchdog signal for 600ms"), "{error}");
        assert_eq!(bench.component("alive").await.restarts, 0);
        bench.stop().await;
    });
}

#[test]
fn who_is_probed_is_not_taken_at_its_word() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let mut web = server("web", &[]);
        web.readiness = Readiness::Probe(by_file(&dir.path().join("never")));
        let bench = Bench::start(vec![web]).await;
        bench.until("web", |web| web.status_text.is_some()).await;
        assert_eq!(bench.component("web").await.state, State::Starting);
        bench.stop().await;
    });
}

#[test]
fn a_change_of_policy_restarts_nothing_and_holds_at_once() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let flag = dir.path().join("serves");
        let mut bench = Bench::with(|data| {
            let old = Plan::new(data, vec![running("web"), mute("slow")]);
            let mut new = Plan::new(data, vec![running("web"), mute("slow")]);
            let web = &mut new.components[0];
            web.readiness = Readiness::Probe(by_file(&flag));
            web.restart.intensity = 1;
            web.required = false;
            web.stop_grace = Duration::from_secs(1);
            new.components[1].ready_timeout = Duration::from_secs(50);
            let reload = move |_| Ok(new.clone());
            (old, Hooks { reload: Some(Box::new(reload)), ..Hooks::default() })
        })
        .await;
        bench.until_state("web", State::Ready).await;
        let before = bench.snapshot().await;
        match bench.ask(Request::Reload { plan_only: false, yes: false }).await {
            Response::Reload { summary } => {
                assert_eq!(summary.changed, ["web", "slow"], "{summary:?}");
                assert!(summary.kept.is_empty() && summary.restarted.is_empty(), "{summary:?}");
            }
            other => panic!("{other:?}"),
        }
        // The probe begins now, and fails.
        let web = bench.until_state("web", State::Unready).await;
        assert!(!web.required);
        std::fs::write(&flag, "").unwrap();
        bench.until_state("web", State::Ready).await;
        for old in before.components {
            let new = bench.component(&old.name).await;
            assert_eq!((new.pid, new.restarts), (old.pid, 0), "{}", old.name);
        }
        assert!(matches!(bench.progress().await, supervisor::Progress::Changed(..)));
        bench.stop().await;
    });
}

#[test]
fn who_left_the_group_ends_with_its_component() {
    block_on(async {
        let escapes =
            "setsid sh -c 'trap \"\" TERM; echo \"away $$\"; while :; do sleep 1; done' & echo up; wait";
        let mut bench = Bench::start(vec![script("web", escapes)]).await;
        bench.settled().await;
        bench.logged("web", "away").await;
        let away =
            bench.log("web").lines().find_map(|line| line.strip_prefix("away ")?.parse().ok()).unwrap();
        assert!(is_alive(away));
        bench.stop().await;
        assert!(!is_alive(away));
    });
}
