//! `launcher chat` as scripts use it: its output and exit codes when no server can be reached and no user can be asked.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs `launcher` with this input, in this home and without any configuration.
fn launcher(home: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_launcher"))
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may exit without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Runs `launcher chat` in an empty home.
fn chat(arguments: &[&str], input: &str) -> Output {
    let home = tempfile::tempdir().unwrap();
    launcher(home.path(), &[&["chat"], arguments].concat(), input)
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
    assert_eq!(output.status.code(), Some(64), "{}", error(&output));
    assert!(
        error(&output).contains("invalid name 'two words': a name cannot hold a space"),
        "{}",
        error(&output)
    );
}

#[test]
fn a_server_that_cannot_be_is_a_mistake_and_one_that_is_not_there_is_unavailable() {
    let output = chat(&["--name", "alice", "--server", "http://x"], "bob: hi\n");
    assert_eq!(output.status.code(), Some(64), "{}", error(&output));
    assert!(error(&output).contains("expected HOST:PORT"), "{}", error(&output));
    let output = chat(&["--name", "alice", "--server", "127.0.0.1:9"], "bob: hi\n");
    assert_eq!(output.status.code(), Some(69), "{}", error(&output));
    assert!(error(&output).contains("cannot reach 127.0.0.1:9"), "{}", error(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn what_was_piped_without_a_server_is_in_the_history_which_needs_none() {
    let home = tempfile::tempdir().unwrap();
    let launcher = |arguments: &[&str], input: &str| launcher(home.path(), arguments, input);
    let nothing = launcher(&["history"], "");
    assert_eq!(nothing.status.code(), Some(1));
    assert!(error(&nothing).contains("no history in"), "{}", error(&nothing));
    let chat = launcher(&["chat", "--name", "alice", "--server", "127.0.0.1:9"], "bob: by the way\n");
    assert_eq!(chat.status.code(), Some(69), "{}", error(&chat));
    assert!(error(&chat).contains("1 message waits"), "{}", error(&chat));
    let csv = launcher(&["history", "--export", "csv"], "");
    let csv = String::from_utf8(csv.stdout).unwrap();
    assert!(csv.contains(",bob,out,") && csv.ends_with(",waiting,,chat,by the way\r\n"), "{csv}");
    let json = launcher(&["history", "--with", "bob", "--search", "BY THE", "--export", "json"], "");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json[0]["body"], "by the way");
    let text = launcher(&["history", "--with", "carol"], "");
    assert_eq!((text.status.code(), text.stdout.as_slice()), (Some(0), &b""[..]));
    assert_eq!(error(&text), "launcher: no matching messages\n");
    assert!(home.path().join(".local/state/p2p-chat/chat_history_alice.db").is_file());
}
