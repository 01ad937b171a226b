//! The processes that the tests supervise: shell scripts, and this test binary itself in other roles.

use std::path::PathBuf;
use std::time::Duration;

use kit::Notifier;
use launcher::supervisor::{
    ComponentKind, ComponentSpec, Hooks, Launch, Plan, Readiness, RestartWhen, supervise,
};

use crate::bench::{block_on, claim};

/// Tells this binary, started as a child, which role to play.
const ROLE: &str = "P2P_TEST_ROLE";

/// A component that runs a shell script and is ready at once.
pub(crate) fn script(name: &str, script: &str) -> ComponentSpec {
    component(name, "/bin/sh".into(), &["-c", script], &[], Readiness::Spawned)
}

/// A one-shot that runs a shell script.
pub(crate) fn oneshot(name: &str, text: &str) -> ComponentSpec {
    let mut spec = script(name, text);
    spec.kind = ComponentKind::Oneshot;
    spec.restart.when = RestartWhen::Never;
    spec
}

/// A component that reports readiness, and runs until it is asked to end.
pub(crate) fn server(name: &str, needs: &[&str]) -> ComponentSpec {
    in_role(name, "serve", needs)
}

/// A component that never reports readiness.
pub(crate) fn mute(name: &str) -> ComponentSpec {
    in_role(name, "mute", &[])
}

/// A component that reports readiness and repeatedly its status, and ignores TERM.
pub(crate) fn chatter(name: &str) -> ComponentSpec {
    in_role(name, "chatter", &[])
}

/// A component that reports readiness, and feeds the watchdog.
pub(crate) fn pinging(name: &str) -> ComponentSpec {
    in_role(name, "ping", &[])
}

/// This binary in another role.
fn in_role(name: &str, role: &str, needs: &[&str]) -> ComponentSpec {
    let program = std::env::current_exe().unwrap();
    let args = ["children::role", "--exact", "--ignored", "--nocapture"];
    let mut spec = component(name, program, &args, &[(ROLE, role)], Readiness::Notify);
    spec.needs = needs.iter().map(|need| (*need).to_owned()).collect();
    spec
}

fn component(
    name: &str,
    program: PathBuf,
    args: &[&str],
    env: &[(&str, &str)],
    readiness: Readiness,
) -> ComponentSpec {
    let launch = Launch::Command {
        program,
        args: args.iter().map(Into::into).collect(),
        env: env.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        env_remove: Vec::new(),
        cwd: None,
    };
    ComponentSpec {
        readiness,
        ready_timeout: Duration::from_secs(20),
        stop_grace: Duration::from_secs(10),
        ..ComponentSpec::new(name, launch)
    }
}

/// A launcher of its own in `data`, as a child of the test, so that it can be killed.
pub(crate) fn launcher(data: &std::path::Path) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["children::role", "--exact", "--ignored", "--nocapture"]);
    command.env(ROLE, "launcher").env("P2P_TEST_DATA", data);
    command
}

/// What the killed launcher supervises: a child that heeds its lifeline, and one whose descendant ignores everything: TERM, its group and
/// its pipes.
fn doomed() -> Vec<ComponentSpec> {
    let stubborn = "trap '' TERM; setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' </dev/null >/dev/null 2>&1 & cat";
    vec![server("good", &[]), script("bad", stubborn)]
}

#[test]
#[ignore = "is the child process of other tests"]
fn role() {
    match std::env::var(ROLE).as_deref() {
        Ok("serve") => {
            Notifier::from_environment().ready("serving");
            wait_for_the_end_of_the_lifeline();
        }
        Ok("ping") => block_on(async {
            let notifier = Notifier::from_environment();
            notifier.ready("serving");
            tokio::spawn(notifier.feed_watchdog());
            tokio::task::spawn_blocking(wait_for_the_end_of_the_lifeline).await.unwrap();
        }),
        Ok("chatter") => block_on(async {
            let _caught = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
            let notifier = Notifier::from_environment();
            notifier.ready("serving");
            for number in 0.. {
                notifier.status(&format!("number {number}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }),
        Ok("mute") => wait_for_the_end_of_the_lifeline(),
        Ok("launcher") => {
            let data = PathBuf::from(std::env::var("P2P_TEST_DATA").unwrap());
            block_on(async {
                let claim = claim(&data).await.unwrap();
                supervise(Plan::new(&data, doomed()), claim, Hooks::default()).await.unwrap();
            });
        }
        other => panic!("{other:?} is no role"),
    }
}

fn wait_for_the_end_of_the_lifeline() {
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}
