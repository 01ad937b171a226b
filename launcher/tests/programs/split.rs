//! `logs.split-stderr`.

use crate::house::{home, until_logged};
use crate::support::wait_for;

const CONFIG: &str = "[logs]
format = 'json'
split-stderr = true
[components.web]
command = ['sh', '-c', 'echo fine; echo broken >&2; echo serving >&2; sleep 0.2; echo last words >&2; exit 3']
probe = { log = 'serving' }
restart = 'never'
needs = []
";

#[test]
fn lines_of_standard_error_are_told_apart_and_all_else_is_as_it_was() {
    let launcher = home(CONFIG).start();
    let log = until_logged(&launcher, "web", "last words");
    let line = |text: &str| log.lines().find(|line| line.contains(text)).unwrap().to_owned();
    assert!(line("fine").contains("\"stream\":\"stdout\""), "{log}");
    assert!(line("broken").contains("\"stream\":\"stderr\""), "{log}");
    let error = wait_for("its end", || {
        let error = launcher.component("web")?["last_error"].as_str()?.to_owned();
        error.contains("last words").then_some(error)
    });
    assert_eq!(error, "exited with code 3: last words");
    let events = wait_for("the events", || {
        let events = std::fs::read_to_string(launcher.home.logs().join("events.jsonl")).ok()?;
        events.contains("\"to\":\"failed\"").then_some(events)
    });
    let is_ready = |line: &&str| line.contains("\"component\":\"web\"") && line.contains("\"to\":\"ready\"");
    assert_eq!(events.lines().filter(is_ready).count(), 1, "the line was heard on standard error: {events}");
    let verified = launcher.home.run(&["logs", "--verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[test]
fn raw_lines_have_no_place_for_a_mark() {
    let home = home("[logs]\nsplit-stderr = true\n");
    let output = home.run(&["check"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(
        said.contains("programs.toml:2:16: logs.split-stderr: raw lines have no place for the mark"),
        "{said}"
    );
}
