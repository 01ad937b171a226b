//! The book dialect through the whole system, and what is kept of its users.

use crate::support::http::get;
use crate::support::line_client::LineClient;
use crate::support::{Home, wait_for};

const PROMPT: &str = "Enter target and message (e.g., kiki-Hello!): ";

#[test]
fn a_book_client_talks_with_text_and_rest_and_is_listed() {
    let launcher = Home::new().argument("--no-web").argument("--no-thermometer").up();
    let home = &launcher.home;
    let (mut alice, _) = LineClient::login(home.chat, "alice");
    let users = || String::from_utf8(home.run(&["users"]).stdout).unwrap();
    wait_for("alice to be in the book", || users().contains("alice").then_some(()));
    let mut bob = LineClient::connect(home.book);
    bob.send("bob\n");
    bob.expect(&format!("Client book => alice, bob\n\nUsers online=> alice\n{PROMPT}"));
    bob.send("alice-yo-yo\n");
    assert!(alice.line().ends_with("] yo-yo\n"));
    bob.expect(&format!("\nUsers online=> alice\n{PROMPT}"));
    alice.send("bob: hi\n");
    bob.expect("\nalice: hi\n");
    bob.send("alice-bye\n");
    bob.expect(&format!("\nUsers online=> alice\n{PROMPT}"));
    alice.send("exit\n");
    alice.rest();
    bob.send("alice-later\n");
    bob.expect("User 'alice' is offline. Message stored.\n");
    assert!(get(home.api, "/messages/alice").body.contains("later"));

    let users = users();
    let rows: Vec<Vec<&str>> = users.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..2], ["NAME", "ADDRESS"], "{users}");
    assert_eq!((rows[1][0], rows[2][0]), ("alice", "bob"), "{users}");
    assert!(rows[1][1].starts_with("127."), "{users}");
}
