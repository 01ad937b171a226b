//! The store's file is deleted or damaged under the running system: who is notified, and with which text.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Output;

use crate::support::line_client::LineClient;
use crate::support::{Home, Launcher, wait_for};

const REASON: &str = "was moved or deleted while in use; put it back";
const UNREADABLE: &str =
    "Your unread messages cannot be read now. They are kept, and are shown as soon as they can be read.\n";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// The output of a subcommand once it contains this; and its exit code.
fn run_until(launcher: &Launcher, command: &str, words: &str) -> (Option<i32>, String) {
    wait_for(words, || {
        let output = launcher.home.run(&[command]);
        let said = said(&output);
        said.contains(words).then_some((output.status.code(), said))
    })
}

#[test]
fn a_store_that_is_moved_away_turns_everything_red_with_the_reason_and_back() {
    let home = Home::new().argument("--no-web").argument("--no-thermometer");
    if home.is_on_mongodb() {
        return;
    }
    let launcher = home.up();
    let (mut alice, _) = LineClient::login(launcher.home.chat, "alice");
    let (file, aside) = (launcher.home.data().join("chat.db"), launcher.home.data().join("aside.db"));
    std::fs::rename(&file, &aside).unwrap();

    let (_, status) = run_until(&launcher, "status", REASON);
    assert!(status.contains("unhealthy: ") && status.contains("message-api"), "{status}");
    let (code, check) = run_until(&launcher, "check", REASON);
    assert_eq!(code, Some(69), "{check}");
    assert!(check.contains("message-api is not ready: ") && !check.contains("no problems found"), "{check}");
    let (code, doctor) = run_until(&launcher, "doctor", REASON);
    assert_eq!(code, Some(69), "{doctor}");
    let line = doctor.lines().find(|line| line.contains(REASON)).unwrap();
    assert!(line.starts_with("fail  store"), "{line}");
    alice.send("bob: hi\n");
    assert!(alice.line().starts_with("Message not confirmed: "));

    std::fs::rename(&aside, &file).unwrap();
    let healthy = || launcher.status().filter(|status| status["healthy"] == true).map(drop);
    wait_for("all to be well again", healthy);
    for command in ["check", "doctor"] {
        let output = launcher.home.run(&[command]);
        assert!(!said(&output).contains(REASON), "{command}: {}", said(&output));
    }
}

/// Overwrites all pages of the file except the first, which has its header.
fn damage(file: &Path) {
    let mut open = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    let length = open.metadata().unwrap().len();
    open.seek(SeekFrom::Start(4096)).unwrap();
    open.write_all(&vec![0xa5; usize::try_from(length - 4096).unwrap()]).unwrap();
}

#[test]
fn who_has_unread_messages_that_cannot_be_read_is_told_so() {
    let home = Home::new().argument("--no-web").argument("--no-thermometer");
    let home = home.set("chat-server.messages-per-second=0");
    if home.is_on_mongodb() {
        return;
    }
    let mut launcher = home.up();
    let chat = launcher.home.chat;
    let (mut alice, _) = LineClient::login(chat, "alice");
    for n in 0..60 {
        alice.send(&format!("bob: {n} {}\n", "x".repeat(8000)));
        assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n");
    }
    // After a restart everything is in the file, and nothing of it in memory.
    assert!(launcher.end("-TERM").success());
    launcher.up_again();
    let file = launcher.home.data().join("chat.db");
    let whole = std::fs::read(&file).unwrap();
    damage(&file);
    let (mut bob, _) = LineClient::login(chat, "bob");
    assert_eq!(bob.line(), UNREADABLE);

    assert!(launcher.home.run(&["stop", "message-api"]).status.success());
    for beside in ["chat.db-wal", "chat.db-shm"] {
        let _ = std::fs::remove_file(file.with_file_name(beside));
    }
    std::fs::write(&file, whole).unwrap();
    assert!(launcher.home.run(&["start", "message-api"]).status.success());
    for n in 0..60 {
        let line = bob.line();
        assert!(line.contains(&format!("[alice] {n} x")), "wanted {n}, got {line:.100}");
    }
}
