//! `type = "forking"`: the process that a program leaves behind is the one that counts.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::house::{file, home, log, run, until_state};
use crate::support::{Launcher, kill, wait_for};

/// Starts a daemon in a session of its own that says who it is, and ends once that can be read.
const SERVER: &str = "(setsid sh -c \"trap \\\"echo bye; exit 0\\\" TERM; echo \\$\\$ > web.pid.new; mv web.pid.new web.pid; echo up; while :; do sleep 0.05; done\" &) ; until test -s web.pid; do sleep 0.02; done; echo started";

fn config(cwd: &Path, more: &str) -> String {
    format!(
        "[components.web]\ntype = 'forking'\npid-file = 'web.pid'\ncommand = ['sh', '-c', '{SERVER}']\ncwd = '{}'\nneeds = []\n{more}\n\
         [components.user]\ncommand = ['sleep', '600']\nneeds = ['web']\n",
        cwd.display()
    )
}

fn pid(cwd: &Path) -> Option<u32> {
    std::fs::read_to_string(cwd.join("web.pid")).ok()?.trim().parse().ok()
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Waits until the component has the process that its file names.
fn until_followed(launcher: &Launcher, cwd: &Path) -> u32 {
    wait_for("the daemon to be followed", || {
        let component = launcher.component("web")?;
        let named = pid(cwd)?;
        (component["state"] == "ready" && component["pid"].as_u64() == Some(named.into())).then_some(named)
    })
}

#[test]
fn the_daemon_is_supervised_by_its_pid() {
    let dir = tempfile::tempdir().unwrap();
    // What an earlier run has left names somebody else.
    std::fs::write(dir.path().join("web.pid"), format!("{}\n", std::process::id())).unwrap();
    let mut launcher = home(&config(dir.path(), "backoff = '50ms'")).start();
    let first = until_followed(&launcher, dir.path());
    until_state(&launcher, "user", "ready");
    assert_ne!(first, std::process::id());

    std::fs::remove_file(dir.path().join("web.pid")).unwrap();
    kill(first, "-KILL");
    let second = until_followed(&launcher, dir.path());
    assert_ne!(second, first);
    let error = launcher.component("web").unwrap()["last_error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("was killed by SIGKILL"), "{error}");

    run(&launcher, &["stop", "web"]);
    assert!(!is_alive(second) && log(&launcher, "web").contains("bye"), "{}", log(&launcher, "web"));

    std::fs::remove_file(dir.path().join("web.pid")).unwrap();
    run(&launcher, &["start", "web"]);
    let third = until_followed(&launcher, dir.path());
    launcher.end("-KILL");
    let killed = Instant::now();
    wait_for("its end", || (!is_alive(third)).then_some(()));
    assert!(killed.elapsed() < Duration::from_secs(3), "{:?}", killed.elapsed());
}

#[test]
fn a_first_process_that_fails_or_leaves_nothing_is_a_failure() {
    let config = "[components.bad]\ntype = 'forking'\npid-file = '/nonexistent/pid'\ncommand = ['sh', '-c', 'exit 4']\nneeds = []\nrestart = 'never'\n\
                  [components.slow]\ntype = 'forking'\npid-file = '/nonexistent/pid'\ncommand = ['sh', '-c', 'sleep 600 & exit 0']\nneeds = []\nrestart = 'never'\nready-timeout = '300ms'\n";
    let launcher = home(config).start();
    let error = |component: &str| {
        wait_for("its error", || launcher.component(component)?["last_error"].as_str().map(str::to_owned))
    };
    assert!(error("bad").starts_with("exited with code 4"), "{}", error("bad"));
    assert!(error("slow").starts_with("was not ready within 300ms"), "{}", error("slow"));
    until_state(&launcher, "slow", "failed");
}

#[test]
fn it_must_name_a_file_and_others_must_not() {
    let home = home(
        "[components.a]\ntype = 'forking'\ncommand = 'true'\nneeds = []\n\
         [components.b]\ncommand = 'true'\nneeds = []\npid-file = 'x'\n",
    );
    assert!(file(&home).exists());
    let said = String::from_utf8(home.run(&["check"]).stderr).unwrap();
    assert!(
        said.contains("components.a.pid-file: a forking component names the process that serves"),
        "{said}"
    );
    assert!(said.contains("components.b.pid-file: only a component of type = \"forking\" has one"), "{said}");
}
