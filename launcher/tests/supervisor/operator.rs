//! The operator's requests over the control socket.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use launcher::supervisor::control::{
    ControlError, ReloadSummary, Request, Response, request, wait_until_gone,
};
use launcher::supervisor::status::State;
use launcher::supervisor::{Hooks, Outcome, Plan, supervise_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::bench::{Bench, block_on, claim};
use crate::children::server;

fn named(name: &str) -> String {
    name.to_owned()
}

#[test]
fn a_component_is_stopped_started_and_restarted() {
    block_on(async {
        let mut bench = Bench::start(vec![server("api", &[]), server("web", &["api"])]).await;
        let before = bench.settled().await.component("web").unwrap().pid;
        assert_eq!(bench.ask(Request::Stop { component: named("web") }).await, Response::Accepted);
        assert_eq!(bench.until_state("web", State::Stopped).await.pid, None);
        assert_eq!(bench.ask(Request::Start { component: named("web") }).await, Response::Accepted);
        let started = bench.until_state("web", State::Ready).await.pid;
        assert_ne!(started, before);
        assert_eq!(bench.ask(Request::Restart { component: named("web") }).await, Response::Accepted);
        let restarted = bench.until("web", |web| web.state == State::Ready && web.pid != started).await;
        assert_eq!((restarted.restarts, restarted.last_error), (0, None), "an ordered restart is no crash");
        let refused = bench.ask(Request::Stop { component: named("wbe") }).await;
        assert_eq!(
            refused,
            Response::Refused { reason: named("unknown component 'wbe'; available: api, web") }
        );
        bench.stop().await;
    });
}

#[test]
fn down_ends_everything_and_can_be_waited_for() {
    block_on(async {
        let mut bench = Bench::start(vec![server("api", &[])]).await;
        bench.settled().await;
        let data = bench.dir.path().to_owned();
        assert!(!wait_until_gone(&data, Duration::ZERO).await);
        assert_eq!(bench.ask(Request::Down).await, Response::Accepted);
        assert!(wait_until_gone(&data, Duration::from_secs(20)).await);
        let (outcome, _, _dir) = bench.ended().await;
        assert_eq!(outcome, Outcome::default());
        let asked = request(&data, &Request::Status).await;
        assert!(matches!(asked, Err(ControlError::NotRunning(_))), "{asked:?}");
    });
}

#[test]
fn nonsense_and_silence_harm_nobody() {
    block_on(async {
        let mut bench = Bench::start(vec![server("api", &[])]).await;
        bench.settled().await;
        let path = bench.dir.path().join("run/control.sock");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);

        let _silent = UnixStream::connect(&path).await.unwrap();
        let mut nonsense = UnixStream::connect(&path).await.unwrap();
        nonsense.write_all(b"\xFF{]\n{\"request\":\"dance\"}\n").await.unwrap();
        nonsense.shutdown().await.unwrap();
        let mut answers = String::new();
        nonsense.read_to_string(&mut answers).await.unwrap();
        assert_eq!(answers.lines().filter(|line| line.contains("malformed request")).count(), 2, "{answers}");

        let mut endless = UnixStream::connect(&path).await.unwrap();
        // The server disconnects at its limit, so not all of it can be written.
        let _ = endless.write_all(&vec![b'x'; 1 << 20]).await;
        let mut nothing = Vec::new();
        let _ = endless.read_to_end(&mut nothing).await;
        assert!(nothing.is_empty());
        assert!(bench.snapshot().await.is_healthy());
        bench.stop().await;
    });
}

#[test]
fn it_works_where_a_path_is_too_long_for_a_socket() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("x".repeat(120));
        let held = claim(&data).await.unwrap();
        let (signals, signalled) = mpsc::channel(1);
        let running =
            supervise_until(Plan::new(&data, vec![server("api", &[])]), held, Hooks::default(), signalled);
        let running = tokio::task::spawn_local(running);
        loop {
            match request(&data, &Request::Status).await {
                Ok(Response::Status { snapshot }) if snapshot.is_healthy() => break,
                Ok(_) | Err(ControlError::NotRunning(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
        signals.send(()).await.unwrap();
        running.await.unwrap().unwrap();
    });
}

#[test]
fn a_reload_restarts_what_differs_and_leaves_the_rest() {
    block_on(async {
        let mut bench = Bench::with(|data| {
            let old = vec![server("api", &[]), server("chat", &["api"]), server("web", &["chat"])];
            let mut new =
                Plan::new(data, vec![server("api", &[]), server("chat", &["api"]), server("bot", &["chat"])]);
            new.components[1].config_digest = named("changed");
            let mut tries = 0;
            let reload = move |_| {
                tries += 1;
                if tries == 1 { Err(named("line 3: unknown key")) } else { Ok(new.clone()) }
            };
            (Plan::new(data, old), Hooks { reload: Some(Box::new(reload)), ..Hooks::default() })
        })
        .await;
        let before = bench.settled().await;
        let refused = bench.ask(Request::Reload { plan_only: false, yes: false }).await;
        assert_eq!(refused, Response::Refused { reason: named("line 3: unknown key") });
        let summary = ReloadSummary {
            kept: vec![named("api")],
            restarted: vec![named("chat")],
            started: vec![named("bot")],
            stopped: vec![named("web")],
            ..ReloadSummary::default()
        };
        let preview = bench.ask(Request::Reload { plan_only: true, yes: false }).await;
        assert_eq!(preview, Response::Reload { summary: summary.clone() });
        assert_eq!(bench.snapshot().await.components.len(), 3);
        assert_eq!(
            bench.ask(Request::Reload { plan_only: false, yes: false }).await,
            Response::Reload { summary }
        );
        bench.until_state("bot", State::Ready).await;
        let after = bench.snapshot().await;
        let pid = |snapshot: &supervisor::Snapshot, name| snapshot.component(name).unwrap().pid;
        assert_eq!(pid(&before, "api"), pid(&after, "api"));
        assert_ne!(pid(&before, "chat"), pid(&after, "chat"));
        assert!(after.component("web").is_none());
        bench.stop().await;
    });
}
