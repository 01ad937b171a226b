//! From SQLite to MongoDB as an operator does it, while users chat.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "what is skipped is said")]

mod support;

use support::Home;
use support::line_client::LineClient;
use support::mongo::Mongo;

#[test]
fn a_chat_moves_to_mongodb_and_nothing_is_lost() {
    if std::env::var("P2P_TEST_SKIP_MONGO").is_ok_and(|skip| skip == "1") {
        eprintln!("P2P_TEST_SKIP_MONGO=1: nothing is tested on MongoDB");
        return;
    }
    let mongo = Mongo::start();
    let home = Home::new().set("store.url=sqlite:chat.db").argument("--no-web").argument("--no-thermometer");
    let mut launcher = home.up();
    let (mut alice, _) = LineClient::login(launcher.home.chat, "alice");
    let mut say = |text: &str| {
        alice.send(&format!("bob: {text}\n"));
        assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n");
    };
    let migrate = |home: &Home| {
        let output = home.run(&["migrate", "--from", "sqlite:chat.db", "--to", &mongo.url]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    say("one");
    assert!(
        migrate(&launcher.home).contains(
            "copied 1 message; verified that both stores hold the same 1 message in 1 conversation"
        )
    );
    say("two");
    assert!(launcher.home.run(&["stop", "message-api"]).status.success());
    let said = migrate(&launcher.home);
    assert!(
        said.contains(
            "copied 1 message; verified that both stores hold the same 2 messages in 1 conversation"
        ),
        "{said}"
    );
    assert!(launcher.end("-TERM").success());

    let home =
        Home::new().variable("MONGO_URL", &mongo.url).argument("--no-web").argument("--no-thermometer");
    let moved = home.up();
    let (mut bob, _) = LineClient::login(moved.home.chat, "bob");
    assert!(bob.line().ends_with("] one \n"));
    assert!(bob.line().ends_with("] two \n"));
}

/// As the program of that time left it.
fn make_version_3(file: &std::path::Path) {
    let connection = rusqlite::Connection::open(file).unwrap();
    for step in [
        include_str!("../../components/message-api/tests/versions/1.sql"),
        include_str!("../../components/message-api/tests/versions/2.sql"),
        include_str!("../../components/message-api/tests/versions/3.sql"),
    ] {
        connection.execute_batch(step).unwrap();
    }
    connection
        .execute_batch(
            "PRAGMA application_id = 0x50325063; PRAGMA user_version = 3;
             INSERT INTO users(id, key, name) VALUES (1, 'alice', 'Alice'), (2, 'bob', 'bob');
             INSERT INTO conversations(id, key) VALUES (1, 'dm:alice:bob');
             INSERT INTO members(user, conversation, seen, unread) VALUES (1, 1, 2, 0), (2, 1, 2, 1);",
        )
        .unwrap();
    let event = "INSERT INTO events(pos, conversation, seq, sender, recipient, id, at, kind, client_id, body)
        VALUES (?1, 1, ?1, ?2, 3 - ?2, ?3, ?1, 0, ?4, ?5)";
    for (pos, sender, body) in [(1, 1, "one"), (2, 2, "two"), (3, 1, "three"), (4, 1, "four")] {
        let (id, client_id) = (u128::try_from(pos).unwrap().to_be_bytes(), format!("0000-{pos}"));
        connection.execute(event, rusqlite::params![pos, sender, id, client_id, body]).unwrap();
    }
}

#[test]
fn a_file_of_version_3_moves_to_mongodb() {
    if std::env::var("P2P_TEST_SKIP_MONGO").is_ok_and(|skip| skip == "1") {
        eprintln!("P2P_TEST_SKIP_MONGO=1: nothing is tested on MongoDB");
        return;
    }
    let mongo = Mongo::start();
    let home = Home::new().set("store.url=sqlite:chat.db");
    std::fs::create_dir_all(home.data()).unwrap();
    make_version_3(&home.data().join("chat.db"));
    let output = home.run(&["migrate", "--from", "sqlite:chat.db", "--to", &mongo.url]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("copied 4 messages; verified that both stores hold the same 4 messages"), "{said}");

    let home =
        Home::new().variable("MONGO_URL", &mongo.url).argument("--no-web").argument("--no-thermometer");
    let moved = home.up();
    let (mut bob, _) = LineClient::login(moved.home.chat, "bob");
    assert!(bob.line().ends_with("] three \n"), "two were read");
    assert!(bob.line().ends_with("] four \n"));
}
