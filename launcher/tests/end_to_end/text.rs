//! The text dialect, to the byte.

use crate::support::Home;
use crate::support::line_client::LineClient;

/// `[bob][2026-11-20T23:21:22.277391+00:00] hi` with the time taken out.
fn without_time(line: &str) -> String {
    let time = line.find("][20").map(|at| at + 2).unwrap_or_else(|| panic!("no time in {line:?}"));
    let length = "2026-11-20T23:21:22.277391+00:00".len();
    assert_eq!(&line[time + length - 6..=time + length], "+00:00]", "{line:?}");
    format!("{}T{}", &line[..time], &line[time + length..])
}

#[test]
fn two_people_talk_and_what_is_said_to_the_absent_is_kept() {
    let launcher = Home::new().argument("--no-web").up();
    let chat = launcher.home.chat;
    let (mut alice, greeting) = LineClient::login(chat, "alice");
    assert_eq!(greeting, "Connected! Users online: thermometer1, alice\n");
    // Without a newline: silence ends the message, until one ends with a newline.
    alice.send("bob:  first : with a colon ");
    assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n");
    alice.send("bob: second\n");
    assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n");

    let (mut bob, greeting) = LineClient::login(chat, "Bob");
    assert_eq!(greeting, "Connected! Users online: thermometer1, alice, Bob\n");
    assert_eq!(without_time(&bob.line()), "[Stored] [CHAT][T][alice] first : with a colon \n");
    assert_eq!(without_time(&bob.line()), "[Stored] [CHAT][T][alice] second \n");

    alice.send("BOB: live\r\n");
    assert_eq!(without_time(&bob.line()), "[alice][T] live\n");
    assert!(alice.has_nothing_more(), "nothing is said to a sender whose receiver is online");

    let mut twin = LineClient::connect(chat);
    twin.send("ALICE\n");
    assert_eq!(twin.rest(), "Username already taken. Disconnecting...\n");

    bob.send("!check\n");
    assert!(bob.has_nothing_more(), "what was shown is not shown again");
    bob.send("EXIT\n");
    assert_eq!(bob.rest(), "");
}

#[test]
fn however_the_bytes_arrive() {
    let launcher = Home::new().argument("--no-web").argument("--no-thermometer").up();
    let chat = launcher.home.chat;
    let (mut alice, _) = LineClient::login(chat, "alice");
    let (mut bob, _) = LineClient::login(chat, "bob");
    for byte in "bob: héllo one by one\n".as_bytes() {
        alice.send_bytes(&[*byte]).unwrap();
    }
    assert_eq!(without_time(&bob.line()), "[alice][T] héllo one by one\n");
    let forty: String = (1..=40).map(|n| format!("bob: {n}\n")).collect();
    alice.send(&forty);
    for n in 1..=40 {
        assert_eq!(without_time(&bob.line()), format!("[alice][T] {n}\n"));
    }
    alice.send("bob: \u{1b}[2Jclean\u{7}\n");
    assert_eq!(without_time(&bob.line()), "[alice][T] [2Jclean\n");
    alice.send_bytes(b"bob: \xfe\xfd bytes\n").unwrap();
    assert_eq!(without_time(&bob.line()), "[alice][T] \u{fffd}\u{fffd} bytes\n");
}

#[test]
fn bad_input_is_answered_and_costs_the_others_nothing() {
    let launcher = Home::new().argument("--no-web").argument("--no-thermometer").up();
    let chat = launcher.home.chat;
    let (mut alice, _) = LineClient::login(chat, "alice");
    let (mut bob, _) = LineClient::login(chat, "bob");
    for (name, reason) in [("two words", "a space"), (&"x".repeat(33), "at most 32"), ("a:b", "':'")] {
        let mut client = LineClient::connect(chat);
        client.send(&format!("{name}\n"));
        let answer = client.rest();
        assert!(answer.starts_with("Invalid username: ") && answer.contains(reason), "{answer}");
    }
    let mut reserved = LineClient::connect(chat);
    reserved.send("openai\n");
    assert!(reserved.rest().contains("reserved"));
    let mut browser = LineClient::connect(chat);
    browser.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(browser.rest().matches('\n').count(), 1);

    let mut flood = vec![b'x'; 10 * 1024 * 1024];
    flood.push(b'\n');
    alice.send_bytes(&flood).unwrap();
    let answer = alice.line();
    assert!(answer.contains("65536"), "{answer}");
    alice.send("bob: still here\n");
    assert_eq!(without_time(&bob.line()), "[alice][T] still here\n");
}

#[test]
fn the_thermometer_answers_and_remembers_over_a_restart() {
    let mut launcher = Home::new().argument("--no-web").set("thermometer.interval=1s").up();
    let (mut alice, _) = LineClient::login(launcher.home.chat, "alice");
    alice.send("thermometer1: SUBSCRIBE\n");
    assert_eq!(without_time(&alice.line()), "[thermometer1][T] Subscription confirmed.\n");
    let update = alice.line();
    assert!(update.contains("Temperature update Metadata: {\"temperature\":"), "{update}");
    launcher.kill_component("thermometer");
    let pid = launcher.component_pid("thermometer");
    assert!(alice.line().contains("Temperature update Metadata:"));
    assert_eq!(launcher.component_pid("thermometer"), pid);
    alice.send("thermometer1: unsubscribe\n");
    while without_time(&alice.line()) != "[thermometer1][T] Unsubscribed.\n" {}
    alice.send("thermometer1: range\n");
    let range = alice.line();
    let metadata = range.split_once("Temperature range data Metadata: ").unwrap().1;
    let metadata: serde_json::Value = serde_json::from_str(metadata).unwrap();
    assert_eq!(metadata["temps"].as_array().unwrap().len(), 5);
}
