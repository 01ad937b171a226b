//! `stop-signal` and `stop-command`.

use std::time::{Duration, Instant};

use crate::house::{home, log, run, until_logged};

/// A shell that says which signals come, and ends when there is a file `quit`.
const SERVER: &str = "trap \"echo got INT\" INT; trap \"echo got TERM; exit 0\" TERM; echo up; until test -e quit; do sleep 0.02; done; echo quit";

fn config(cwd: &std::path::Path, more: &str) -> String {
    format!(
        "[components.web]\ncommand = ['sh', '-c', '{SERVER}']\ncwd = '{}'\nneeds = []\n{more}\n",
        cwd.display()
    )
}

/// Stops it and returns how long that took.
fn stop(more: &str, check: impl FnOnce(&str, Duration)) {
    let dir = tempfile::tempdir().unwrap();
    let launcher = home(&config(dir.path(), more)).up();
    until_logged(&launcher, "web", "up");
    let asked = Instant::now();
    run(&launcher, &["stop", "web"]);
    check(&log(&launcher, "web"), asked.elapsed());
}

#[test]
fn the_signal_is_the_configured_one() {
    stop("stop-signal = 'SIGINT'\nstop-grace = '300ms'", |log, _| {
        assert!(log.contains("got INT") && !log.contains("got TERM"), "{log}");
    });
}

#[test]
fn the_command_comes_first_and_leaves_the_process_its_time() {
    let more = "stop-command = ['sh', '-c', 'kill -0 $MAINPID && touch quit']\nstop-grace = '10s'";
    stop(more, |log, took| {
        assert!(log.contains("quit") && !log.contains("got"), "{log}");
        assert!(took < Duration::from_secs(8), "{took:?}");
    });
}

#[test]
fn after_a_command_that_fails_the_signal_comes_at_once() {
    stop("stop-command = ['false']\nstop-grace = '10s'", |log, took| {
        assert!(log.contains("got TERM"), "{log}");
        assert!(took < Duration::from_secs(8), "{took:?}");
    });
}

#[test]
fn a_command_that_does_not_end_is_killed_at_the_end_of_the_grace() {
    let more =
        "stop-command = ['sh', '-c', 'trap \"\" TERM; while :; do sleep 1; done']\nstop-grace = '500ms'";
    stop(more, |log, took| {
        assert!(log.contains("got TERM"), "{log}");
        assert!(took >= Duration::from_millis(500) && took < Duration::from_secs(8), "{took:?}");
    });
}

#[test]
fn an_unknown_signal_is_a_mistake_with_those_there_are() {
    let home = home("[components.web]\ncommand = ['true']\nneeds = []\nstop-signal = 'TREM'\n");
    let output = home.run(&["check"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(said.contains("components.web.stop-signal") && said.contains("did you mean 'TERM'?"), "{said}");
}
