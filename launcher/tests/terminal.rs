//! `launcher chat` as a script uses it: what it says and what it ends with when nobody can be reached or asked.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs `launcher chat` with this input, far from any configuration.
fn chat(arguments: &[&str], input: &str) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_launcher"))
        .arg("chat")
        .args(arguments)
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_script_must_say_who_it_is() {
    let output = chat(&[], "bob: hi\n");
    assert_eq!(output.status.code(), Some(64), "{}", error(&output));
    assert!(error(&output).contains("--name"), "{}", error(&output));
    let output = chat(&["--name", "two words"], "bob: hi\n");
    assert_eq!(output.status.code(), Some(1), "{}", error(&output));
    assert!(error(&output).contains("cannot hold a space"), "{}", error(&output));
}

#[test]
fn a_server_that_cannot_be_is_a_mistake_and_one_that_is_not_there_is_unavailable() {
    let output = chat(&["--name", "alice", "--server", "http://x"], "bob: hi\n");
    assert_eq!(output.status.code(), Some(64), "{}", error(&output));
    assert!(error(&output).contains("use HOST:PORT"), "{}", error(&output));
    let output = chat(&["--name", "alice", "--server", "127.0.0.1:9"], "bob: hi\n");
    assert_eq!(output.status.code(), Some(69), "{}", error(&output));
    assert!(error(&output).contains("cannot reach 127.0.0.1:9"), "{}", error(&output));
    assert!(output.stdout.is_empty());
}
