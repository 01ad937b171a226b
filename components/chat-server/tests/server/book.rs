//! The book dialect, to the byte.

use crate::peer::Peer;
use crate::world::World;

const PROMPT: &str = "Enter target and message (e.g., kiki-Hello!): ";

/// Sends a name and reads the prompt for it.
async fn enter(world: &World, who: &str) -> Peer {
    let mut peer = Peer::connect(world.book).await;
    peer.expect("Enter your username: ").await;
    peer.send(&format!("{who}\n")).await;
    peer
}

/// The two lines after every answer.
async fn expect_pair(peer: &mut Peer, online: &str) {
    peer.expect(&format!("\nUsers online=> {online}\n{PROMPT}")).await;
}

#[tokio::test]
async fn a_first_conversation() {
    let world = World::start().await;
    let mut alice = enter(&world, "alice").await;
    alice.expect("Client book => alice\n").await;
    expect_pair(&mut alice, "").await;
    let mut dave = enter(&world, "dave").await;
    dave.expect("Client book => alice, dave\n").await;
    expect_pair(&mut dave, "alice").await;
    drop(dave);
    alice.send("carol-hey\n").await;
    alice.expect("User not found.\n").await;
    expect_pair(&mut alice, "").await;
    alice.send("dave-see you\n").await;
    alice.expect("User 'dave' is offline. Message stored.\n").await;
    expect_pair(&mut alice, "").await;
    alice.send("hello\n").await;
    alice.expect("Format error. Please enter: <target>-<message>\n").await;
    expect_pair(&mut alice, "").await;
    alice.send("\n").await;
    expect_pair(&mut alice, "").await;

    let mut dave = enter(&world, "dave").await;
    dave.expect("Client book => alice, dave\nYou have offline messages:\n").await;
    let kept = dave.line().await;
    let time = &kept["alice: see you (".len()..][..19];
    assert_eq!(kept, format!("alice: see you ({time})\n"));
    assert_eq!((&time[4..5], &time[10..11], &time[13..14]), ("-", " ", ":"));
    expect_pair(&mut dave, "alice").await;
    dave.send("alice-yo-yo\n").await;
    expect_pair(&mut dave, "alice").await;
    alice.expect("\ndave: yo-yo\n").await;
    world.nothing_unseen("alice").await;
    world.nothing_unseen("dave").await;
}

#[tokio::test]
async fn every_dialect_reaches_every_other() {
    let world = World::start().await;
    let mut texter = world.login("ann-lee").await;
    let (mut native, _) = world.hello(r#"{"type":"hello","name":"native"}"#).await;
    native.frame_of("live").await;
    let mut booker = enter(&world, "booker").await;
    assert!(booker.line().await.starts_with("Client book => "));
    expect_pair(&mut booker, "ann-lee, native").await;

    // A registered name with a dash takes precedence over a shorter one that is not registered.
    booker.send("ann-lee-first\nnative-second\n").await;
    expect_pair(&mut booker, "ann-lee, native").await;
    expect_pair(&mut booker, "ann-lee, native").await;
    assert_eq!(texter.live().await, ("booker".to_owned(), "first".to_owned()));
    assert_eq!(native.frame_of("event").await["event"]["body"], "second");

    texter.send("booker: third\n").await;
    booker.expect("\nann-lee: third\n").await;
    native.send("{\"type\":\"send\",\"client_id\":\"1\",\"to\":\"booker\",\"body\":\"fourth\"}\n").await;
    booker.expect("\nnative: fourth\n").await;
    world.post("cron", "booker", "fifth").await;
    booker.expect("\ncron: fifth\n").await;
    world.nothing_unseen("booker").await;
}

#[tokio::test]
async fn names_that_are_taken_or_impossible_are_refused_and_the_port_speaks_nothing_else() {
    let world = World::start().await;
    let _alice = world.login("alice").await;
    for (name, answer) in [
        ("Alice", "Username already taken. Disconnecting...\n"),
        ("openai", "Username 'openai' is reserved for a service. Disconnecting...\n"),
        (
            "two words",
            "Invalid username: a name cannot hold a space; use letters, digits, '_', '-' and '.'. Disconnecting...\n",
        ),
    ] {
        let mut peer = enter(&world, name).await;
        peer.expect(answer).await;
        peer.closed().await;
    }
    let mut peer = enter(&world, r#"{"type":"hello","name":"x"}"#).await;
    assert!(peer.line().await.starts_with("Invalid username: "));
    peer.closed().await;
}

#[tokio::test]
async fn without_the_store_users_are_admitted_and_told_what_is_not_saved() {
    let mut world = World::start().await;
    let mut alice = enter(&world, "alice").await;
    alice.expect("Client book => alice\n").await;
    expect_pair(&mut alice, "").await;
    world.stop_api().await;
    alice.send("alice-to myself\n").await;
    alice.expect("Message not saved: the server's store is unavailable; please send it again.\n").await;
    expect_pair(&mut alice, "").await;
    let mut bob = enter(&world, "bob").await;
    bob.expect("Client book => alice, bob\n").await;
    expect_pair(&mut bob, "alice").await;
    world.start_api().await;
    world.post("cron", "bob", "kept meanwhile").await;
    // Whether his session had begun to read by then depends on timing; earlier messages are shown as stored.
    let mut heard = String::new();
    while !heard.contains("cron: kept meanwhile") {
        heard += &bob.line().await;
    }
    assert!(
        heard == "\ncron: kept meanwhile\n" || heard.starts_with("You have offline messages:\n"),
        "{heard:?}"
    );
    world.post("cron", "bob", "now").await;
    bob.expect("\ncron: now\n").await;
    // The registration was dropped, so the book lacks bob until his next login.
    alice.send("alice-to myself\n").await;
    alice.expect("\n").await;
}

#[tokio::test]
async fn many_stored_messages_are_shown_in_order_before_the_first_prompt() {
    let world = World::start().await;
    for n in 0..500 {
        world.post("cron", "late", &format!("message {n}")).await;
    }
    let mut late = enter(&world, "late").await;
    late.expect("Client book => late\nYou have offline messages:\n").await;
    for n in 0..500 {
        let line = late.line().await;
        assert!(line.starts_with(&format!("cron: message {n} (")), "{line}");
    }
    expect_pair(&mut late, "").await;
    world.nothing_unseen("late").await;
}
