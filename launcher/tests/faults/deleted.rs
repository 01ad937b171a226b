//! Files of the launcher that others delete while it is running.

use std::time::Duration;

use crate::misbehave::{component, home};
use crate::support::wait_for;

#[test]
fn the_run_directory_and_the_events_come_back() {
    let more = "needs = []\nnotify = true\nwatchdog = '4s'";
    let mut launcher = home(&component("polite", "polite", more)).up();
    let before = launcher.snapshot().component("polite").unwrap().pid;
    std::fs::remove_dir_all(launcher.home.data().join("run")).unwrap();
    std::fs::remove_file(launcher.home.logs().join("events.jsonl")).unwrap();
    // It continues for longer than the watchdog interval.
    wait_for("the launcher's answer", || launcher.try_snapshot());
    std::thread::sleep(Duration::from_secs(6));
    let polite = launcher.snapshot().component("polite").unwrap().clone();
    assert_eq!((polite.pid, polite.restarts), (before, 0));
    let second = launcher.home.run(&["up"]);
    assert_eq!(second.status.code(), Some(75), "no second launcher is let in");
    assert!(launcher.home.run(&["restart", "polite"]).status.success());
    assert!(launcher.end("-TERM").success());
    let events = std::fs::read_to_string(launcher.home.logs().join("events.jsonl")).unwrap();
    assert!(events.contains("\"event\":\"lost\"") && events.contains("launcher-ended"), "{events}");
    let proof = launcher.home.run(&["logs", "--verify", "events.jsonl"]);
    let proof = String::from_utf8(proof.stdout).unwrap();
    assert!(proof.contains("events.jsonl: intact except for counted losses"), "{proof}");
}
