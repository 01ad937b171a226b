//! The client in a real terminal.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;
#[path = "support/tmux.rs"]
mod tmux;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use protocol::MessageType::Chat;
use protocol::native::ErrorCode;
use tmux::Tmux;
use transport::testing::FakeServers;

/// The client in a terminal, connected.
async fn alice(servers: &FakeServers) -> Option<Tmux> {
    let terminal = Tmux::run(&format!("{} {} alice plain", support::client().display(), servers.chat))?;
    servers.online("alice").await;
    terminal.until_row(">");
    Some(terminal)
}

fn last(rows: &[String]) -> &str {
    rows.last().map_or("", String::as_str)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_arrives_while_typing_does_not_tear_the_line() {
    let servers = FakeServers::start().await;
    let Some(terminal) = alice(&servers).await else { return };
    terminal.type_text("bob: half a li");
    terminal.until_row("> bob: half a li");
    servers.say("bob", "alice", Chat, "are you there?");
    let rows = terminal.until_row("bob  are you there?");
    assert_eq!(last(&rows), "> bob: half a li");
    assert_eq!(rows.iter().filter(|row| row.contains("half a li")).count(), 1, "{rows:#?}");
    terminal.press(&["Left", "Left"]);
    servers.say("bob", "alice", Chat, "hello?");
    terminal.until_row("bob  hello?");
    terminal.type_text("whole ");
    terminal.press(&["End"]);
    terminal.type_text("ne");
    terminal.press(&["Enter"]);
    let events = servers.conversation("alice", "bob", 3).await;
    assert_eq!(events[2].body.as_str(), "half a whole line");
    let rows = terminal.until_row("→ bob");
    assert!(rows.iter().any(|row| row == "> bob: half a whole line"), "{rows:#?}");
    servers.seen("alice", "bob", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_that_can_do_nothing_lines_are_taken_and_nothing_but_text_is_written() {
    let servers = FakeServers::start().await;
    let command = format!("TERM=dumb {} {} alice", support::client().display(), servers.chat);
    let Some(terminal) = Tmux::run(&command) else { return };
    terminal.until_row("online: alice");
    terminal.record();
    terminal.type_text("bob: hi");
    terminal.press(&["Enter"]);
    assert_eq!(servers.conversation("alice", "bob", 1).await[0].body.as_str(), "hi");
    servers.say("bob", "alice", Chat, "hello");
    let rows = terminal.until_row("bob  hello");
    assert!(rows.iter().any(|row| row == "bob: hi"), "what is typed is seen: {rows:#?}");
    assert!(!rows.iter().any(|row| row.starts_with('>') || row.contains('→')), "{rows:#?}");
    terminal.type_text("and on");
    terminal.press(&["Enter"]);
    assert_eq!(servers.conversation("alice", "bob", 3).await[2].body.as_str(), "and on");
    terminal.press(&["C-d"]);
    terminal.until("the end", |rows| rows.iter().any(|row| row == "[ended 0]"));
    assert!(!terminal.recorded().contains('\u{1b}'), "{:?}", terminal.recorded());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_and_a_typist_do_not_mix() {
    let servers = FakeServers::start().await;
    let Some(terminal) = alice(&servers).await else { return };
    terminal.type_text("bob: start");
    terminal.press(&["Enter"]);
    servers.conversation("alice", "bob", 1).await;
    for round in 0..20 {
        for n in 0..10 {
            servers.say("carol", "alice", Chat, &format!("flood {round}.{n}"));
        }
        terminal.type_text(&format!("line {round}"));
        terminal.press(&["Enter"]);
    }
    let said = servers.conversation("alice", "bob", 21);
    let Ok(events) = tokio::time::timeout(Duration::from_secs(8), said).await else {
        panic!("a line is missing:\n{}", terminal.rows().join("\n"));
    };
    let said: Vec<&str> = events[1..].iter().map(|event| event.body.as_str()).collect();
    assert_eq!(said, (0..20).map(|round| format!("line {round}")).collect::<Vec<_>>());
    servers.seen("alice", "carol", 200).await;
    let rows = terminal.until("the prompt", |rows| last(rows) == "→ bob");
    let whole = |row: &String| {
        let is_flood =
            row.contains(" carol  flood ") && row.matches("flood").count() == 1 && !row.contains('→');
        let is_line = (row.starts_with("→ bob") || row == "> bob: start") && !row.contains("flood");
        is_flood || is_line || row.starts_with("· ")
    };
    assert!(rows.iter().all(whole), "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unseen_messages_come_first_with_their_times_and_the_day() {
    let servers = FakeServers::start().await;
    servers.say("bob", "alice", Chat, "one\ntwo");
    servers.say("bob", "alice", Chat, "three");
    let Some(terminal) = alice(&servers).await else { return };
    let rows = terminal.until_row("bob  three");
    let first = rows.iter().position(|row| row.ends_with(" bob  one")).unwrap();
    assert_eq!(rows[first + 1], "           two");
    assert_eq!(&rows[first + 2][2..3], ":");
    servers.seen("alice", "bob", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_completed_and_lines_come_back_from_the_history() {
    let servers = FakeServers::start().await;
    servers.say("bobby", "alice", Chat, "hi");
    let Some(terminal) = alice(&servers).await else { return };
    terminal.until_row("bobby  hi");
    terminal.type_text("bo");
    terminal.press(&["Tab"]);
    terminal.until_row("> bobby:");
    terminal.type_text("hello");
    terminal.press(&["Enter"]);
    servers.conversation("alice", "bobby", 2).await;
    terminal.until("the prompt", |rows| last(rows) == "→ bobby");
    terminal.press(&["Up", "Enter"]);
    let events = servers.conversation("alice", "bobby", 3).await;
    assert_eq!(events[2].body.as_str(), "hello");
    let history = terminal.state().join("p2p-chat/chat-history");
    assert_eq!(std::fs::metadata(&history).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(history.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(std::fs::read_to_string(history).unwrap().contains("bobby: hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_said_and_what_is_typed_meanwhile_goes_out_once() {
    let servers = FakeServers::start().await;
    let Some(terminal) = alice(&servers).await else { return };
    terminal.type_text("bob: before");
    terminal.press(&["Enter"]);
    terminal.until_row("bob is offline; saved");
    servers.drop_connections();
    terminal.until_row("reconnected");
    let rows = terminal.rows();
    assert!(rows.iter().any(|row| row.starts_with("· connection lost")), "{rows:#?}");
    terminal.type_text("after");
    terminal.press(&["Enter"]);
    let events = servers.conversation("alice", "bob", 2).await;
    assert_eq!(events[1].body.as_str(), "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_gives_the_terminal_back() {
    let servers = FakeServers::start().await;
    for leave in ["exit", "ctrl-D", "ctrl-C twice", "TERM"] {
        let Some(terminal) = alice(&servers).await else { return };
        match leave {
            "exit" => terminal.press(&["e", "x", "i", "t", "Enter"]),
            "ctrl-D" => terminal.press(&["C-d"]),
            "ctrl-C twice" => {
                terminal.press(&["C-c"]);
                terminal.until("the hint", |rows| rows.iter().any(|row| row.contains("press ctrl-C again")));
                terminal.press(&["C-c"]);
            }
            _ => {
                terminal.type_text("half a li");
                let pid = terminal.client_pid();
                assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
            }
        }
        let rows = terminal.until(leave, |rows| rows.iter().any(|row| row == " echo"));
        assert!(rows.iter().any(|row| row == "[ended 0]"), "{leave}: {rows:#?}");
        assert!(rows.iter().any(|row| row == " icanon"), "{leave}: {rows:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_told_is_asked() {
    let servers = FakeServers::start().await;
    let Some(terminal) = Tmux::run(&support::client().display().to_string()) else { return };
    terminal.until_row("server [127.0.0.1:5000]:");
    terminal.type_text("no server");
    terminal.press(&["Enter"]);
    terminal.until_row("expected HOST:PORT, such as 127.0.0.1:5000");
    terminal.type_text(&servers.chat.to_string());
    terminal.press(&["Enter"]);
    terminal.until_row("your name:");
    terminal.type_text("two words");
    terminal.press(&["Enter"]);
    terminal.until("the error", |rows| rows.iter().any(|row| row.contains("cannot hold a space")));
    terminal.type_text("alice");
    terminal.press(&["Enter"]);
    servers.online("alice").await;
    terminal.until("the screen", |rows| rows.iter().any(|row| row.contains("connected to")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_name_is_asked_for_again() {
    let server = support::refusing(ErrorCode::Reserved, "this name belongs to a service").await;
    let Some(terminal) = Tmux::run(&format!("{} {server} openai plain", support::client().display())) else {
        return;
    };
    let rows = terminal.until_row("your name:");
    assert!(rows[0].starts_with("! the server rejected the name openai"), "{rows:#?}");
    terminal.press(&["C-c"]);
    terminal.until_row("[ended 0]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_greet_is_told_of_and_lines_are_taken_meanwhile() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    for mode in ["plain", ""] {
        let command = format!("{} {address} alice {mode}", support::client().display());
        let Some(terminal) = Tmux::sized(&command, 80, 24) else { return };
        // It accepts the connection and the greeting, but neither answers nor closes.
        let (_silent, _) = listener.accept().await.unwrap();
        let shows = |text: String| terminal.until(&text, |rows| rows.iter().any(|row| row.contains(&text)));
        shows(format!("{address} has not answered yet; still trying"));
        terminal.type_text("bob: hi");
        terminal.press(&["Enter"]);
        let rows =
            shows("not connected: your messages are saved and sent once the server is back".to_owned());
        assert!(!rows.iter().any(|row| row.contains("cannot reach")), "{rows:#?}");
    }
}
