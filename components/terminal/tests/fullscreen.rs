//! The full screen in a real terminal, operated key by key.
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
    terminal
        .until("no unread messages", |rows| rows.iter().any(|row| row.starts_with(" ○ carol          │")));
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

/// Sends messages until the bell has rung this often: at most once a second.
fn ring(servers: &FakeServers, terminal: &Tmux, from: &str, bells: usize) {
    let mut n = 0;
    terminal.until("the bell", |_| {
        n += 1;
        servers.say(from, "alice", Chat, &format!("ring {n}"));
        terminal.bells() == bells
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bell_rings_and_the_title_counts_for_what_nobody_looks_at_and_for_nothing_else() {
    let servers = FakeServers::start().await;
    servers.say("bob", "alice", Chat, "before");
    let Some(terminal) = client(&servers.chat.to_string(), 80, 24) else { return };
    servers.seen("alice", "bob", 1).await;
    terminal.until("no unread messages", |_| terminal.title() == "P2P Chat: alice");
    terminal.record();
    terminal.type_text("mine");
    terminal.press(&["Enter"]);
    servers.conversation("alice", "bob", 2).await;
    servers.say("alice", "dave", Chat, "mine, from another machine");
    servers.say("bob", "alice", Chat, "looked at");
    servers.seen("alice", "bob", 3).await;
    terminal.until("dave", |rows| rows.iter().any(|row| row.starts_with(" ○ dave")));
    assert_eq!((terminal.bells(), terminal.titles()), (0, Vec::new()));
    servers.say("carol", "alice", Chat, "in another conversation");
    terminal.until("carol waits", |rows| rows.iter().any(|row| row.starts_with(" ○ carol        1 │")));
    terminal.until("the title", |_| terminal.titles() == ["(1) P2P Chat: alice"]);
    assert_eq!(terminal.bells(), 1);
    terminal.press(&["Tab"]);
    terminal
        .until("it is read", |_| terminal.titles().last().is_some_and(|title| title == "P2P Chat: alice"));
    terminal.focus(false);
    ring(&servers, &terminal, "carol", 2);
    terminal.until("the title", |_| terminal.title().starts_with('('));
    terminal.focus(true);
    terminal.press(&["Escape"]);
    terminal.until("it is looked at", |_| terminal.title() == "P2P Chat: alice");
    assert_eq!(terminal.bells(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bell_that_is_not_wanted_never_rings_and_the_title_counts_all_the_same() {
    let servers = FakeServers::start().await;
    let command = format!("{} {} alice quiet", support::client().display(), servers.chat);
    let Some(terminal) = Tmux::sized(&command, 80, 24) else { return };
    terminal.until("the screen", |rows| shows(rows, "connected to"));
    terminal.record();
    terminal.type_text("bob: hi");
    terminal.press(&["Enter"]);
    servers.conversation("alice", "bob", 1).await;
    servers.say("carol", "alice", Chat, "psst");
    terminal.until("the title", |_| terminal.titles() == ["(1) P2P Chat: alice"]);
    terminal.focus(false);
    servers.say("bob", "alice", Chat, "are you there?");
    terminal.until("the title", |_| terminal.titles().len() == 2);
    terminal.until("bob's", |rows| shows(rows, "bob    are you there?"));
    assert_eq!(terminal.bells(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_of_a_flag_or_a_family_that_the_terminal_finds_wider_than_we_do() {
    let servers = FakeServers::start().await;
    let Some(terminal) = client(&servers.chat.to_string(), 80, 24) else { return };
    terminal.until("the screen", |rows| shows(rows, "connected to"));
    let signs = "👩\u{200d}👩\u{200d}👧 🇩🇪 ❤\u{fe0f} 👍🏽 end";
    terminal.paste(&format!("bob: {signs}"));
    terminal.until("the line", |rows| rows.last().is_some_and(|row| row.ends_with("end")));
    terminal.press(&["Enter"]);
    assert_eq!(servers.conversation("alice", "bob", 1).await[0].body.as_str(), signs);
    // When typed, they arrive in parts.
    terminal.type_text(signs);
    terminal.press(&["Enter"]);
    assert_eq!(servers.conversation("alice", "bob", 2).await[1].body.as_str(), signs);
    let rows = terminal.until("both", |rows| rows.iter().filter(|row| row.ends_with("end")).count() == 2);
    assert_eq!(rows.last().map(String::as_str), Some("›"), "{rows:#?}");
    // At the end of a row they neither wrap nor scroll the screen.
    for sign in ["👩\u{200d}👩\u{200d}👧", "🇩🇪🇩🇪", "❤\u{fe0f}❤\u{fe0f}", "👍🏽"] {
        terminal.paste(&format!("{}{sign}", "x".repeat(75)));
        let rows = terminal.until("the line", |rows| rows.iter().any(|row| row.starts_with("› xxx")));
        assert!(rows[0].starts_with(" bob · offline"), "{rows:#?}");
        terminal.press(&["C-c"]);
        terminal.until("it is gone", |rows| rows.last().is_some_and(|row| row == "›"));
    }
    terminal.type_text("carol: plain");
    terminal.press(&["Enter"]);
    let rows = terminal.until("carol's", |rows| shows(rows, "✓ alice  plain"));
    let ascii = |row: &String| row.chars().all(|c| c.is_ascii() || "─│●○✓›·".contains(c));
    assert!(rows.iter().all(ascii), "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_name_is_not_known_here_is_tried_again_while_one_reads_and_writes() {
    let Some(terminal) = client("chat.invalid:5000", 80, 24) else { return };
    terminal.until("what is wrong", |rows| {
        rows.join("")
            .contains("cannot reach chat.invalid:5000 (no address is found for the name chat.invalid)")
    });
    terminal.type_text("bob: later");
    terminal.press(&["Enter"]);
    terminal.until("it waits", |rows| shows(rows, "… alice  later") && shows(rows, "1 waiting"));
    terminal.press(&["C-d"]);
    let farewell = "1 message waits in the history of alice; it goes out when alice next chats with";
    let rows = terminal.until("the end", |rows| shows(rows, "[ended 0]"));
    assert!(rows.join("").contains(farewell), "{rows:#?}");
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
    terminal.until("the screen", |rows| shows(rows, "No conversations yet"));
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
