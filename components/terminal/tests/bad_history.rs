//! A history that cannot be saved: the user is told what is wrong and what to do, and the chat continues.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may panic, and says what it leaves out"
)]

mod support;
#[path = "support/tmux.rs"]
mod tmux;

use std::path::Path;
use std::process::{Output, Stdio};

use rusqlite::Connection;
use support::{client, run_in, sql};
use tmux::Tmux;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use transport::testing::FakeServers;

const FILE: &str = "p2p-chat/chat_history_alice.db";

/// A history with one message in it.
async fn begun(home: &Path, servers: &FakeServers) {
    let run = run_in(home, &[&servers.chat.to_string(), "alice"], "bob: kept\n").await;
    assert_eq!(run.code, Some(0), "{}", run.err);
}

/// Runs the client with its home on a separate disk of `size`, after `prepare` has run there.
async fn on_a_disk(size: &str, prepare: &str, servers: &FakeServers, input: &str) -> Option<Output> {
    let home = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o size={size} none \"$1\" && cd \"$1\" && mkdir p2p-chat && {{ {prepare}; }} </dev/null && shift &&
         exec \"$@\""
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script, "sh"]).arg(home.path()).arg(client());
    command.arg(servers.chat.to_string()).arg("alice").env("XDG_STATE_HOME", home.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may exit without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("Operation not permitted") || said.contains("must be superuser") {
        eprintln!("skipped: a disk of its own is made as root only");
        return None;
    }
    Some(output)
}

/// The notice about the file; asserts that all messages arrived anyway.
async fn told(output: Output, servers: &FakeServers, bodies: &[String]) -> String {
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let events = servers.conversation("alice", "bob", bodies.len()).await;
    assert_eq!(events.iter().map(|event| event.body.as_str()).collect::<Vec<_>>(), bodies);
    said
}

#[tokio::test]
async fn a_file_that_another_program_holds_is_named_and_left_alone() {
    let (servers, home) = (FakeServers::start().await, tempfile::tempdir().unwrap());
    begun(home.path(), &servers).await;
    let other = Connection::open(home.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let run = run_in(home.path(), &[&servers.chat.to_string(), "alice"], "bob: hi\n").await;
    assert_eq!(run.code, Some(0), "{}", run.err);
    let trouble = format!(
        "history is not saved: '{}' is locked by another program; stop that program, then start again\n",
        home.path().join(FILE).display()
    );
    assert!(run.err.contains(&trouble), "{}", run.err);
    assert_eq!(servers.conversation("alice", "bob", 2).await[1].body.as_str(), "hi");
    drop(other);
    assert_eq!(sql(home.path(), "alice", "SELECT group_concat(message) FROM messages"), "kept");
    // Once it is unlocked, the server's messages are fetched.
    let run = run_in(home.path(), &[&servers.chat.to_string(), "alice"], "/history bob\n").await;
    assert!(run.out.contains("alice -> bob: hi"), "{}", run.out);
}

#[tokio::test]
async fn a_file_that_can_only_be_read_is_read() {
    let servers = FakeServers::start().await;
    let table = "sqlite3 p2p-chat/chat_history_alice.db \"CREATE TABLE messages(id INTEGER PRIMARY KEY AUTOINCREMENT, \
                 sender TEXT, receiver TEXT, message TEXT, timestamp DATETIME DEFAULT CURRENT_TIMESTAMP); \
                 INSERT INTO messages(sender, receiver, message) VALUES ('bob', 'Me', 'from before')\"";
    let prepare = format!("{table} && mount -o remount,ro \"$1\"");
    let Some(output) = on_a_disk("1m", &prepare, &servers, "/search before\nbob: hi\n").await else { return };
    let found = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(found.ends_with(" bob: from before\n"), "{found}");
    let said = told(output, &servers, &["hi".to_owned()]).await;
    assert!(
        said.contains(
            "chat_history_alice.db' is not writable; change its permissions, or use another directory"
        ),
        "{said}"
    );
}

#[tokio::test]
async fn on_a_disk_without_room_the_chat_goes_on() {
    let servers = FakeServers::start().await;
    let full = "dd if=/dev/zero of=ballast bs=1k 2>/dev/null || true";
    let Some(output) = on_a_disk("200k", full, &servers, "bob: hi\n").await else { return };
    let said = told(output, &servers, &["hi".to_owned()]).await;
    assert!(said.contains("history is not saved: the disk of '"), "{said}");
    assert!(said.contains("chat_history_alice.db' is full; free some space, then start again\n"), "{said}");
}

#[tokio::test]
async fn a_disk_that_becomes_full_loses_and_doubles_nothing_that_is_said() {
    let servers = FakeServers::start().await;
    let bodies: Vec<String> = (0..200).map(|n| format!("{n} {}", "x".repeat(2000))).collect();
    let input: String = bodies.iter().map(|body| format!("bob: {body}\n")).collect();
    let Some(output) = on_a_disk("400k", "true", &servers, &input).await else { return };
    let said = told(output, &servers, &bodies).await;
    assert!(said.contains("history is no longer saved: the disk of '"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_whole_screen_it_stays_until_a_key_is_pressed() {
    let servers = FakeServers::start().await;
    let Some(terminal) = Tmux::sized(&format!("{} {} alice", client().display(), servers.chat), 80, 24)
    else {
        return;
    };
    terminal.until("the screen", |rows| rows.iter().any(|row| row.contains("connected to")));
    let other = Connection::open(terminal.state().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    terminal.type_text("bob: hi");
    terminal.press(&["Enter"]);
    let what = "what is wrong and what to do";
    let rows = terminal.until(what, |rows| {
        let all = rows.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        all.contains("history is no longer saved: ")
            && all.contains("is locked by another program; stop that program, then start again")
    });
    assert!(rows.iter().any(|row| row.contains("Esc closes this")), "{rows:#?}");
    terminal.press(&["Escape"]);
    terminal.until("the message", |rows| rows.iter().any(|row| row.contains("✓ alice  hi")));
    assert_eq!(servers.conversation("alice", "bob", 1).await.len(), 1);
}
