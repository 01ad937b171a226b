//! The book dialect through the whole system, and what is stored about its users.

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

/// What it sends after the login of a user who was offline, up to the first prompt.
fn login(home: &Home, name: &str) -> (LineClient, String) {
    let mut client = LineClient::connect(home.book);
    client.send(&format!("{name}\n"));
    let mut greeting = client.line();
    while !greeting.contains("\nUsers online=> ") {
        greeting.push_str(&client.line());
    }
    client.expect(PROMPT);
    (client, greeting)
}

/// The users online, according to the lines after every answer.
fn pair(client: &mut LineClient) -> String {
    client.expect("\nUsers online=> ");
    let online = client.line();
    client.expect(PROMPT);
    online
}

/// Replaces a time in brackets by the placeholder of the documents.
fn without_time(line: &str) -> String {
    let start = line.find(" (20").unwrap() + 2;
    let time = &line[start..start + "2026-11-20 23:21:22".len()];
    let digits: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(digits, "0000-00-00 00:00:00", "{line}");
    line.replace(time, "T")
}

#[test]
fn the_documented_conversation_literally() {
    let launcher = Home::new().argument("--no-web").argument("--no-thermometer").up();
    let home = &launcher.home;
    let (mut alice, greeting) = login(home, "alice");
    assert_eq!(greeting, "Client book => alice\n\nUsers online=> \n");
    let (bob, greeting) = login(home, "bob");
    assert_eq!(greeting, "Client book => alice, bob\n\nUsers online=> alice\n");
    drop(bob);
    wait_for("bob to be away", || {
        alice.send("bob-see you\n");
        let answer = alice.line();
        // While bob is online, the answer consists of these lines alone.
        let is_away = answer == "User 'bob' is offline. Message stored.\n";
        alice.expect(if is_away { "\nUsers online=> \n" } else { "Users online=> bob\n" });
        alice.expect(PROMPT);
        is_away.then_some(())
    });
    let (mut bob, greeting) = login(home, "bob");
    let kept =
        "Client book => alice, bob\nYou have offline messages:\nalice: see you (T)\n\nUsers online=> alice\n";
    assert_eq!(without_time(&greeting), kept);
    let (dave, _) = login(home, "dave");
    drop(dave);
    bob.send("alice-yo-yo\n");
    alice.expect("\nbob: yo-yo\n");
    pair(&mut bob);
    wait_for("dave to be away", || {
        bob.send("\n");
        (pair(&mut bob) == "alice\n").then_some(())
    });
    for (line, answer) in [
        ("carol-hey\n", "User not found.\n"),
        ("dave-hi\n", "User 'dave' is offline. Message stored.\n"),
        ("nobody has no dash here\n", "Format error. Please enter: <target>-<message>\n"),
        ("alice-\n", "Format error. Please enter: <target>-<message>\n"),
    ] {
        bob.send(line);
        bob.expect(answer);
        assert_eq!(pair(&mut bob), "alice\n");
    }
}

#[test]
fn where_a_user_was_seen_last_is_kept_and_shown() {
    let launcher = Home::new().argument("--no-web").argument("--no-thermometer").up();
    let home = &launcher.home;
    for _ in 0..2 {
        let (client, _) = login(home, "mary-jane");
        let address = client.address().to_string();
        wait_for("the address", || {
            let users = String::from_utf8(home.run(&["users"]).stdout).unwrap();
            let row = users.lines().find(|row| row.starts_with("mary-jane "))?;
            row.contains(&format!(" {address} ")).then_some(())
        });
        drop(client);
        wait_for("the name to be free", || {
            let mut other = LineClient::connect(home.book);
            other.send("watcher\n");
            while !other.line().starts_with("Users online=> ") {}
            other.expect(PROMPT);
            other.send("mary-jane-are you there?\n");
            (other.line() == "User 'mary-jane' is offline. Message stored.\n").then_some(())
        });
    }
}
