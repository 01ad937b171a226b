//! The whole screen in a real terminal, typed at key by key and looked at.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;
#[path = "support/tmux.rs"]
mod tmux;

use protocol::MessageType::{Chat, Notification};
use proxy::Wire;
use tmux::Tmux;
use transport::testing::FakeServers;

/// The client in a terminal of this size.
fn client(server: &str, width: u16, height: u16) -> Option<Tmux> {
    Tmux::sized(&format!("{} {server} alice", support::client().display()), width, height)
}

fn shows(rows: &[String], part: &str) -> bool {
    rows.iter().any(|row| row.contains(part))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_held_and_another_one_waits_until_it_is_opened() {
    let servers = FakeServers::start().await;
    servers.say("bob", "alice", Chat, "are you there?");
    let Some(terminal) = client(&servers.chat.to_string(), 80, 24) else { return };
    terminal.until("the message", |rows| shows(rows, "bob    are you there?"));
    servers.seen("alice", "bob", 1).await;
    terminal.type_text("yes");
    terminal.press(&["Enter"]);
    let said = servers.conversation("alice", "bob", 2).await;
    assert_eq!(said[1].body.as_str(), "yes");
    terminal.until("it is stored", |rows| shows(rows, "✓ alice  yes"));
    servers.say("carol", "alice", Chat, "psst");
    servers.say("carol", "alice", Notification, "and this");
    terminal.until("carol waits", |rows| rows.iter().any(|row| row.starts_with(" ○ carol        2 │")));
    assert!(terminal.title().starts_with("(2)"), "{}", terminal.title());
    terminal.press(&["Tab"]);
    let rows = terminal.until("carol's", |rows| shows(rows, "carol  psst") && shows(rows, "── new ──"));
    assert!(!shows(&rows, "are you there?"), "{rows:#?}");
    servers.seen("alice", "carol", 2).await;
    terminal.until("nothing is unseen", |rows| rows.iter().any(|row| row.starts_with(" ○ carol          │")));
    terminal.paste("pasted\nlines");
    terminal.until("both lines", |rows| shows(rows, "› pasted") && shows(rows, "  lines"));
    terminal.press(&["Enter"]);
    assert_eq!(servers.conversation("alice", "carol", 3).await[2].body.as_str(), "pasted\nlines");
    terminal.press(&["C-d"]);
    let rows = terminal.until("the end", |rows| rows.iter().any(|row| row == " echo"));
    assert!(shows(&rows, "[ended 0]") && rows.iter().any(|row| row == " icanon"), "{rows:#?}");
    assert!(!shows(&rows, "psst"), "the terminal is as it was: {rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_size_is_another_picture_at_once() {
    let servers = FakeServers::start().await;
    servers.say("bob", "alice", Chat, &"wide ".repeat(30));
    let Some(terminal) = client(&servers.chat.to_string(), 80, 24) else { return };
    terminal.until("the message", |rows| shows(rows, "bob    wide"));
    terminal.type_text("half a line");
    for (width, height, row) in [(200, 50, 30), (60, 10, 5), (40, 12, 4)] {
        terminal.resize(width, height);
        let rows = terminal.until("the new size", |rows| {
            let widest = rows.iter().map(|row| row.matches("wide").count()).max();
            widest.is_some_and(|widest| widest == row) && shows(rows, "› half a line")
        });
        assert_eq!(shows(&rows, "│"), width >= 50, "{rows:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_one_reads_searches_and_writes_and_it_goes_out_once() {
    let servers = FakeServers::start().await;
    let wire = Wire::cut_to(servers.chat).await;
    wire.mend();
    let Some(terminal) = client(&wire.address.to_string(), 80, 24) else { return };
    servers.online("alice").await;
    servers.say("bob", "alice", Chat, "a needle");
    terminal.until("the message", |rows| shows(rows, "a needle"));
    wire.cut();
    terminal.until("the loss", |rows| shows(rows, "connection lost") && shows(rows, "offline · alice@"));
    terminal.type_text("written offline");
    terminal.press(&["Enter"]);
    terminal.until("it waits", |rows| shows(rows, "… alice  written offline") && shows(rows, "1 waiting"));
    terminal.press(&["C-f"]);
    terminal.type_text("NEEDLE");
    terminal.press(&["Enter"]);
    terminal.until("it is found", |rows| shows(rows, "1 with 'NEEDLE'"));
    terminal.press(&["Enter"]);
    terminal.until("it is gone to", |rows| !shows(rows, "1 with 'NEEDLE'") && shows(rows, "bob    a needle"));
    wire.mend();
    terminal.until("it is out", |rows| shows(rows, "✓ alice  written offline") && !shows(rows, "waiting"));
    assert_eq!(servers.conversation("alice", "bob", 2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn older_messages_come_from_the_server_while_one_scrolls_back() {
    let servers = FakeServers::start().await;
    for n in 0..450 {
        servers.say("alice", "bob", Chat, &format!("line {n}."));
    }
    servers.say("bob", "alice", Chat, "the last");
    let Some(terminal) = client(&servers.chat.to_string(), 80, 24) else { return };
    terminal.until("the last", |rows| shows(rows, "the last"));
    for _ in 0..5 {
        terminal.press(&["C-Home"]);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    terminal.until("the first", |rows| {
        terminal.press(&["C-Home"]);
        shows(rows, "line 0.")
    });
    terminal.press(&["C-End"]);
    terminal.until("the last", |rows| shows(rows, "the last"));
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_the_terminal_is_the_shell_s_and_afterwards_ours_again() {
    let servers = FakeServers::start().await;
    let home = tempfile::tempdir().unwrap();
    let shell = format!("PS1='shell> ' HISTFILE= bash --norc --noprofile -i; true {}", home.path().display());
    let Some(terminal) = Tmux::sized(&shell, 80, 24) else { return };
    terminal.until("the shell", |rows| shows(rows, "shell>"));
    terminal.type_text(&format!("{} {} alice", support::client().display(), servers.chat));
    terminal.press(&["Enter"]);
    servers.online("alice").await;
    terminal.until("the screen", |rows| shows(rows, "Nobody to talk with yet"));
    terminal.type_text("bob: half");
    terminal.until("the line", |rows| shows(rows, "› bob: half"));
    terminal.press(&["C-z"]);
    terminal.until("the shell", |rows| shows(rows, "Stopped") && !shows(rows, "› bob: half"));
    terminal.type_text("stty -a | grep -o ' icanon'; fg");
    terminal.press(&["Enter"]);
    terminal.until("the screen", |rows| shows(rows, "› bob: half") && !shows(rows, "Stopped"));
    terminal.press(&["Enter"]);
    assert_eq!(servers.conversation("alice", "bob", 1).await[0].body.as_str(), "half");
    let pid = support::pid_of(&format!("{} alice", servers.chat));
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    terminal.until("the shell", |rows| shows(rows, "Stopped") && shows(rows, "shell>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_means_no_good_steers_nothing() {
    for (what, bytes) in support::mischief() {
        let server = support::hostile(bytes).await;
        let Some(terminal) = client(&server.to_string(), 80, 24) else { return };
        terminal.until(what, |rows| {
            rows.first().is_some_and(|row| row.contains("alice@127.0.0.1")) && shows(rows, "! ")
        });
        terminal.type_text("still there");
        let rows = terminal.until(what, |rows| shows(rows, "› still there"));
        assert!(!terminal.title().contains("owned"), "{what}: {}", terminal.title());
        assert_eq!(rows.last().map(String::as_str), Some("› still there"), "{what}: {rows:#?}");
    }
}
