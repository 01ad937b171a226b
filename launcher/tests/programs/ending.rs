//! `on-failure = "stop-all"` and `--exit-code-from`: the launcher ends with a program's exit code.

use std::process::Output;

use crate::house::home;
use crate::support::Home;

/// Runs the launcher to its end, which must come by itself.
fn run(home: &Home, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = home.run(&[&["up"], arguments].concat());
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

fn web(script: &str, more: &str) -> Home {
    home(&format!(
        "[components.web]\ncommand = ['sh', '-c', '{script}']\n{more}\n[components.other]\ncommand = ['sleep', '600']\nneeds = []\n"
    ))
}

#[test]
fn who_is_given_up_can_end_all_with_its_exit_code() {
    let home =
        web("sleep 0.1; echo dying >&2; exit 3", "on-failure = 'stop-all'\nintensity = 1\nbackoff = '1ms'");
    let (code, said) = run(&home, &[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("everything was stopped because of web: gave up after 1 restarts"), "{said}");
    let events = std::fs::read_to_string(home.logs().join("events.jsonl")).unwrap();
    let order = |component: &str| {
        let line = format!("\"component\":\"{component}\"");
        let end = |text: &str| text.contains(&line) && text.contains("\"to\":\"stopped\"");
        events.lines().position(end).unwrap_or_else(|| panic!("{component} is not stopped: {events}"))
    };
    assert!(order("chat-server") < order("message-api"), "in the order of needs: {events}");
    assert!(order("other") > 0);
    let web_runs = events.matches("\"component\":\"web\"").count();
    assert!(events.contains("\"to\":\"failed\"") && web_runs >= 6, "{events}");
}

#[test]
fn a_signal_counts_as_in_a_shell_and_a_configuration_error_as_its_code() {
    let home = web("kill -SEGV $$", "needs = []\non-failure = 'stop-all'\nrestart = 'never'");
    assert_eq!(run(&home, &[]).0, Some(139));
    let home = web("exit 78", "needs = []\non-failure = 'stop-all'");
    assert_eq!(run(&home, &[]).0, Some(78));
}

#[test]
fn the_end_of_the_one_that_is_waited_for_is_the_end_of_all() {
    for (exit, expected) in [(7, 7), (0, 0)] {
        let home = web(&format!("echo done; exit {exit}"), "");
        let (code, said) = run(&home, &["--exit-code-from", "web"]);
        assert_eq!(code, Some(expected), "{said}");
        let log = std::fs::read_to_string(home.logs().join("web.log")).unwrap();
        assert_eq!(log, "done\n", "it is not started again");
    }
}

#[test]
fn a_name_that_is_not_started_is_a_mistake_before_anything_starts() {
    let home = web("exit 1", "");
    let (code, said) = run(&home, &["--exit-code-from", "wbe"]);
    assert_eq!(code, Some(64), "{said}");
    assert!(
        said.contains("no component 'wbe' is started; available: message-api, chat-server, other, web"),
        "{said}"
    );
    assert_eq!(run(&home, &["--exit-code-from", "web", "--detach"]).0, Some(64));
    assert_eq!(home.run(&["--exit-code-from", "web", "status"]).status.code(), Some(64));
}
