//! `launcher backup` and `launcher restore` on a running system.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::line_client::LineClient;
use crate::support::{Home, Launcher, wait_for};

/// Logs in in the native dialect; returns the welcome.
fn hello(launcher: &Launcher, hello: &Value) -> (LineClient, Value) {
    let mut client = LineClient::connect(launcher.home.chat);
    client.send(&format!("{hello}\n"));
    let welcome = frame(&mut client);
    assert_eq!(welcome["type"], "welcome", "{welcome}");
    (client, welcome)
}

fn frame(client: &mut LineClient) -> Value {
    serde_json::from_str(&client.line()).unwrap()
}

/// The texts that a client is shown until it is live.
fn shown(client: &mut LineClient) -> Vec<String> {
    let frames = std::iter::from_fn(|| Some(frame(client)).filter(|frame| frame["type"] != "live"));
    frames.map(|frame| frame["event"]["body"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_client_that_was_ahead_of_the_restored_log_begins_anew() {
    let launcher = Home::new().argument("--no-web").argument("--no-thermometer").up();
    if launcher.home.is_on_mongodb() {
        return;
    }
    let (mut alice, _) = LineClient::login(launcher.home.chat, "alice");
    let mut say = |text: &str| {
        alice.send(&format!("bob: {text}\n"));
        alice.line()
    };
    say("one");
    let path = launcher.home.dir.path().join("all.backup");
    let path = path.to_str().unwrap();
    assert!(launcher.home.run(&["backup", path]).status.success());
    say("two");
    say("three");
    let (mut bob, welcome) = hello(&launcher, &json!({"type": "hello", "name": "bob", "presence": false}));
    assert_eq!(shown(&mut bob), ["one", "two", "three"]);
    let log = &welcome["log"];
    assert!(log.is_string(), "{welcome}");

    let restored = launcher.home.run(&["restore", "--yes", path]);
    assert!(restored.status.success(), "{restored:?}");
    // The client is told that its cursors are invalid,
    let bye = frame(&mut bob);
    assert_eq!(bye["type"], "bye", "{bye}");
    assert!(bye["reason"].as_str().unwrap().contains("another one than before"), "{bye}");
    // and if it sends cursors of the other log, it is shown the new one from its beginning.
    let again = json!({"type": "hello", "name": "bob", "presence": false, "cursors": {"dm:alice:bob": 3}, "log": log});
    let (mut bob, welcome) = wait_for("bob's name to be free", || {
        let mut client = LineClient::connect(launcher.home.chat);
        client.send(&format!("{again}\n"));
        let welcome = frame(&mut client);
        (welcome["type"] == "welcome").then_some((client, welcome))
    });
    assert_ne!(&welcome["log"], log);
    assert_eq!(shown(&mut bob), ["one"]);
    let mut say = |text: &str| {
        alice.send(&format!("bob: {text}\n"));
        frame(&mut bob)
    };
    let event = &say("four")["event"];
    assert_eq!(event["body"], "four");
    assert!(event["seq"].as_u64().unwrap() > 3, "no place of the log is given away twice: {event}");
}

#[test]
fn what_was_said_can_be_taken_away_and_brought_back() {
    let launcher = Home::new().argument("--no-web").argument("--no-thermometer").up();
    let home = &launcher.home;
    let (mut alice, _) = LineClient::login(home.chat, "alice");
    alice.send("bob: before\n");
    assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n");
    let file = home.dir.path().join("all.backup");
    let path = file.to_str().unwrap();
    let taken = home.run(&["backup", path]);
    let said = String::from_utf8_lossy(&taken.stdout).into_owned();
    assert!(taken.status.success() && said.contains("1 message in 1 conversation, 1 user"), "{taken:?}");
    let again = home.run(&["backup", path]);
    assert_eq!(again.status.code(), Some(64), "a backup is not overwritten: {again:?}");

    alice.send("bob: after\n");
    assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n");
    if home.is_on_mongodb() {
        let refused = home.run(&["restore", "--yes", path]);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("there are messages"), "{refused:?}");
        return;
    }
    let asked = home.run(&["restore", path]);
    assert_eq!(asked.status.code(), Some(64), "without a terminal nothing is replaced: {asked:?}");
    assert!(String::from_utf8_lossy(&asked.stderr).contains("confirm it with --yes"), "{asked:?}");
    let restored = home.run(&["restore", "--yes", path]);
    assert!(restored.status.success(), "{restored:?}");
    let said = String::from_utf8_lossy(&restored.stdout).into_owned();
    let kept = said.trim().rsplit_once("the previous messages are in ").unwrap().1;
    let mode = std::fs::metadata(kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{kept}");
    let (mut bob, _) = LineClient::login(home.chat, "bob");
    let line = bob.line();
    assert!(line.starts_with("[Stored]") && line.ends_with("] before \n"), "{line}");
    alice.send("bob: and on\n");
    assert!(bob.line().ends_with("] and on\n"), "what came after the backup is gone, and it goes on");

    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let refused = home.run(&["restore", "--yes", path]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("it is damaged: line"), "{refused:?}");
}
