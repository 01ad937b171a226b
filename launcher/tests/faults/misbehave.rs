//! Misbehaving children: this test binary in the roles of programs that resist a stop in different ways.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kit::Notifier;
use tokio::signal::unix::{SignalKind, signal};

use crate::support::Home;

/// Tells this binary, started as a child, how to misbehave.
const KIND: &str = "P2P_MISBEHAVE";

/// Every way to resist a stop.
pub(crate) const STUBBORN: [&str; 14] = [
    "ignores-term",
    "leaves-a-child",
    "leaves-its-session",
    "holds-output",
    "stops-itself",
    "floods",
    "writes-half-lines",
    "never-ready",
    "respawns",
    "closes-everything",
    "wrapped",
    "forks-twice",
    "leaves-everything",
    "another-user",
];

/// How this binary is started in its role.
const ROLE: [&str; 4] = ["misbehave::role", "--exact", "--ignored", "--nocapture"];

/// A shell that waits for its child, and one that does not: its child is an orphan at once.
const WAITS: [&str; 3] = ["sh", "-c", "\"$0\" \"$@\"; true"];
const FORKS: [&str; 3] = ["sh", "-c", "\"$0\" \"$@\" &"];

/// Leaves the mark of its run, its session, its files and its parents. The kind must be an argument, because the environment is cleared,
/// too.
const LEAVES: [&str; 7] = [
    "env",
    "-i",
    "P2P_MISBEHAVE=ignores-term",
    "setsid",
    "sh",
    "-c",
    "\"$0\" \"$@\" </dev/null >/dev/null 2>&1 &",
];

/// Only root can become another user.
const NOBODY: [&str; 7] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "sh",
    "-c",
    "trap '' TERM; while :; do sleep 1; done",
];

/// A component that misbehaves; `more` are its other keys, such as `needs = []`.
pub(crate) fn component(name: &str, kind: &str, more: &str) -> String {
    let program = std::env::current_exe().unwrap();
    format!(
        "[components.{name}]\ncommand = ['{}']\nargs = ['misbehave::role', '--exact', '--ignored', '--nocapture', '--test-threads=1']\n\
         env = {{ {KIND} = '{kind}', VERSION = '0' }}\n{more}\n",
        program.display()
    )
}

/// A home whose launcher runs what this file configures, and only those built-in components that cannot be disabled.
pub(crate) fn home(config: &str) -> Home {
    let home = Home::new().argument("--no-web").argument("--no-thermometer");
    let file = home.dir.path().join("faults.toml");
    std::fs::write(&file, config).unwrap();
    home.variable("P2P_CONFIG", file.to_str().unwrap())
}

#[test]
#[ignore = "is the child process of other tests"]
fn role() {
    let kind = std::env::var(KIND).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match kind.as_str() {
            "polite" => return serve_until_term().await,
            "chatters" => tokio::select! {
                () = serve_until_term() => return,
                () = flood() => {}
            },
            "torrent" => tokio::select! {
                () = serve_until_term() => return,
                () = torrent() => {}
            },
            _ => {}
        }
        mind_no_signal();
        let mut children: Vec<Child> = Vec::new();
        match kind.as_str() {
            "leaves-a-child" => children.push(start("ignores-term", &[])),
            "leaves-its-session" => children.push(start("ignores-term", &["setsid"])),
            "holds-output" => children.push(start("holds-on", &[])),
            "forks-twice" => children.push(start("ignores-term", &FORKS)),
            "leaves-everything" => children.push(start("ignores-term", &LEAVES)),
            "another-user" if rustix::process::geteuid().is_root() => {
                children.push(start("holds-on", &NOBODY));
            }
            _ => {}
        }
        if kind != "never-ready" {
            Notifier::from_environment().ready(&kind);
        }
        match kind.as_str() {
            "leaves-a-child" | "leaves-its-session" | "holds-output" => until_term().await,
            "respawns" => {
                until_term().await;
                children.push(start("ignores-term", &[]));
            }
            "stops-itself" => stop_itself().await,
            "floods" => flood().await,
            "writes-half-lines" => write("half a line").await,
            "crashes" => panic!("as it is told"),
            "closes-everything" => close_everything().await,
            "wrapped" => panic!("{}", command("ignores-term", &WAITS).exec()),
            _ => std::future::pending().await,
        }
    });
}

async fn serve_until_term() {
    let notifier = Notifier::from_environment();
    let mut term = signal(SignalKind::terminate()).unwrap();
    notifier.ready("polite");
    tokio::spawn(notifier.feed_watchdog());
    term.recv().await;
}

/// Handled and ignored, for as long as the runtime lives.
fn mind_no_signal() {
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        let mut caught = signal(kind).unwrap();
        tokio::spawn(async move { while caught.recv().await.is_some() {} });
    }
}

async fn until_term() {
    signal(SignalKind::terminate()).unwrap().recv().await;
}

/// This binary in another role and started through other programs. Its command line identifies the run if its environment does not.
fn command(kind: &str, through: &[&str]) -> Command {
    let us = std::env::current_exe().unwrap();
    let words = through.iter().map(Path::new).chain([us.as_path()]).collect::<Vec<_>>();
    let run = std::env::var("P2P_RUN").unwrap_or_default();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(ROLE).arg(of_run(run.split('/').next().unwrap_or_default()));
    command.env(KIND, kind).stdin(Stdio::null());
    command
}

fn start(kind: &str, through: &[&str]) -> Child {
    command(kind, through).spawn().unwrap()
}

/// The word in a command line that identifies the run of the process. For the test harness it is the name of a test that does not exist.
pub(crate) fn of_run(run: &str) -> String {
    format!("of-run-{run}")
}

async fn stop_itself() {
    loop {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// 2 MiB per second in lines, as long as they are read.
async fn flood() {
    let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
    loop {
        let _ = std::io::stdout().write_all(&line.repeat(20));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// As fast as it is read.
async fn torrent() {
    let lines = [b"x".repeat(1023), b"\n".to_vec()].concat().repeat(60);
    loop {
        let _ = std::io::stdout().write_all(&lines);
        tokio::task::yield_now().await;
    }
}

async fn write(text: &str) {
    loop {
        let _ = std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Closes everything except the null device, so that no pipe reveals us.
async fn close_everything() {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
    rustix::stdio::dup2_stdin(&null).unwrap();
    rustix::stdio::dup2_stdout(&null).unwrap();
    rustix::stdio::dup2_stderr(&null).unwrap();
    std::future::pending().await
}
