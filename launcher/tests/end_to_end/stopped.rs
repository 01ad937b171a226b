//! Suspended components (SIGSTOP): they have not crashed, do not answer, and continue later.

use std::time::{Duration, Instant};

use crate::support::line_client::LineClient;
use crate::support::{Home, Launcher, kill, wait_for};

const NOT_CONFIRMED: &str = "Message not confirmed: the server's store does not answer. Please send the same line again; it will not come twice.\n";

fn stand_still(launcher: &Launcher, component: &str) -> u32 {
    let pid = launcher.component_pid(component).unwrap();
    kill(pid, "-STOP");
    pid
}

#[test]
fn while_the_message_api_stands_still_senders_are_told_and_nothing_is_acknowledged() {
    let launcher = Home::new().argument("--no-web").argument("--no-thermometer").up();
    let chat = launcher.home.chat;
    let (mut bob, _) = LineClient::login(chat, "bob");
    let (mut alice, _) = LineClient::login(chat, "alice");
    alice.send("bob: before\n");
    assert!(bob.line().ends_with("] before\n"));

    let pid = stand_still(&launcher, "message-api");
    let asked = Instant::now();
    alice.send("carol: meanwhile\n");
    assert_eq!(alice.line(), NOT_CONFIRMED);
    assert!(asked.elapsed() < Duration::from_secs(3), "it took {:?}", asked.elapsed());
    kill(pid, "-CONT");

    // A request from before the suspension may be stored: sent again, it is stored once.
    alice.send("carol: meanwhile\n");
    while alice.line() == NOT_CONFIRMED {
        alice.send("carol: meanwhile\n");
    }
    let (mut carol, _) = LineClient::login(chat, "carol");
    assert!(carol.line().ends_with("[alice] meanwhile \n"));
    assert!(carol.has_nothing_more());

    let again = || {
        alice.send("dave: after\n");
        (alice.line() == "User 'dave' is offline. Message saved.\n").then_some(())
    };
    wait_for("messages to be saved again", again);
    alice.send("bob: and on\n");
    assert!(bob.line().ends_with("] and on\n"), "what was before came once, and it goes on");
    assert_eq!(launcher.component("message-api").unwrap()["restarts"], 0);
}

#[test]
fn while_the_chat_server_stands_still_what_is_said_waits_and_comes_once_and_in_order() {
    let launcher = Home::new()
        .set("chat-server.messages-per-second=0")
        .argument("--no-web")
        .argument("--no-thermometer")
        .up();
    let chat = launcher.home.chat;
    let (mut bob, _) = LineClient::login(chat, "bob");
    let (mut alice, _) = LineClient::login(chat, "alice");
    let pid = stand_still(&launcher, "chat-server");
    for n in 0..500 {
        alice.send(&format!("bob: {n}\n"));
    }
    let posted = crate::support::http::post(
        launcher.home.api,
        "/messages/",
        r#"{"sender":"cron","destination":"bob","message":"from a script"}"#,
    );
    assert_eq!(posted.status, 200, "{}", posted.body);
    kill(pid, "-CONT");
    let mut lines = (0..=500).map(|_| bob.line());
    let (script, said): (Vec<String>, Vec<String>) =
        lines.by_ref().partition(|line| line.contains("from a script"));
    assert_eq!(script.len(), 1, "{script:?}");
    for (n, line) in said.iter().enumerate() {
        assert!(line.ends_with(&format!("] {n}\n")), "wanted {n}, got {line}");
    }
    assert!(bob.has_nothing_more());
    assert_eq!(launcher.component("chat-server").unwrap()["restarts"], 0);
}
