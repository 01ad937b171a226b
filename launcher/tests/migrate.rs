//! From SQLite to MongoDB as an operator does it, with people in the chat.
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
