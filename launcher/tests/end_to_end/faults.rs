//! The system after processes were killed.

use std::time::{Duration, Instant};

use crate::support::line_client::LineClient;
use crate::support::{Home, wait_for};

/// Every component is restarted within this time.
const BACK: Duration = Duration::from_secs(1);

#[test]
fn a_killed_component_is_back_and_nothing_that_was_said_is_gone() {
    // The bot is running, although nobody sends it anything.
    let mut launcher = Home::new().variable("OPENAI_API_KEY", "none").up();
    let chat = launcher.home.chat;
    let components = ["message-api", "chat-server", "web-adapter", "thermometer", "openai-bot"];
    for (round, name) in components.into_iter().enumerate() {
        let (mut alice, _) = LineClient::login(chat, "alice");
        alice.send(&format!("bob: before {round}\n"));
        assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n");
        let took = launcher.kill_component(name);
        assert!(took < BACK, "{name} took {took:?}");
    }
    launcher.wait_until_healthy();
    let (mut bob, _) = LineClient::login(chat, "bob");
    for round in 0..components.len() {
        let line = bob.line();
        assert!(line.ends_with(&format!("[alice] before {round} \n")), "{line}");
    }
    assert!(bob.has_nothing_more());
}

#[test]
fn a_message_is_saved_by_the_next_message_api_or_its_sender_is_told() {
    let mut launcher = Home::new().argument("--no-web").argument("--no-thermometer").up();
    let (mut alice, _) = LineClient::login(launcher.home.chat, "alice");
    let output = launcher.home.run(&["stop", "message-api"]);
    assert!(output.status.success());
    let started = Instant::now();
    alice.send("bob: nobody stores this\n");
    let answer = alice.line();
    assert!(answer.starts_with("Message not confirmed: "), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(launcher.home.run(&["start", "message-api"]).status.success());
    launcher.wait_until_healthy();
    wait_for("messages to be stored again", || {
        alice.send("bob: again\n");
        (alice.line() == "User 'bob' is offline. Message saved.\n").then_some(())
    });
}

#[test]
fn when_the_launcher_is_killed_nobody_is_left_and_the_next_start_just_works() {
    let mut launcher = Home::new().up();
    let (mut alice, _) = LineClient::login(launcher.home.chat, "alice");
    alice.send("bob: kept\n");
    assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n");
    launcher.end("-KILL");
    let killed = Instant::now();
    wait_for("all children to be gone", || launcher.survivors().is_empty().then_some(()));
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(3), "children lived on for {took:?}");
    launcher.up_again();
    let (mut bob, _) = LineClient::login(launcher.home.chat, "bob");
    assert!(bob.line().ends_with("[alice] kept \n"));
}

#[test]
fn term_and_down_stop_everything_in_order_and_exit_with_zero() {
    let mut launcher = Home::new().up();
    assert!(launcher.end("-TERM").success());
    assert!(launcher.survivors().is_empty());
    launcher.up_again();
    let output = launcher.home.run(&["down"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait_for("all to be gone", || launcher.survivors().is_empty().then_some(()));
}

#[test]
fn a_second_launcher_on_the_same_data_is_refused_and_the_first_goes_on() {
    let mut launcher = Home::new().argument("--no-web").argument("--no-thermometer").up();
    let output = launcher.home.run(&["up"]);
    assert_eq!(output.status.code(), Some(75));
    let pid = launcher.pid().to_string();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains(&pid), "{message}");
    launcher.wait_until_healthy();
}
