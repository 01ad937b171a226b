//! The text dialect, to the byte.

use std::time::Duration;

use crate::peer::Peer;
use crate::world::World;

#[tokio::test]
async fn a_first_conversation() {
    let world = World::start().await;
    let mut alice = world.connect().await;
    alice.send("alice\n").await;
    alice.expect("Connected! Users online: alice\n").await;
    alice.send("bob: hello").await;
    alice.expect("User 'bob' is offline. Message saved.\n").await;

    let mut bob = world.connect().await;
    bob.send("bob\n").await;
    bob.expect("Connected! Users online: alice, bob\n").await;
    let stored = bob.line().await;
    let time = &stored["[Stored] [CHAT][".len()..][..32];
    assert_eq!(stored, format!("[Stored] [CHAT][{time}][alice] hello \n"));
    assert!(time.ends_with("+00:00") && time.as_bytes()[19] == b'.', "{time}");

    alice.send("bob: hi: there").await;
    let live = bob.line().await;
    let time = &live["[alice][".len()..][..32];
    assert_eq!(live, format!("[alice][{time}] hi: there\n"));
    alice.heard_nothing().await;

    bob.send("!check").await;
    bob.heard_nothing().await;
    bob.send("EXIT\n").await;
    bob.closed().await;
    alice.send("bob: gone?\n").await;
    alice.expect("User 'bob' is offline. Message saved.\n").await;
    alice.send("exit\n").await;
    alice.closed().await;
}

#[tokio::test]
async fn metadata_and_types_are_shown() {
    use protocol::{Body, Draft, MessageType};
    let world = World::start().await;
    let mut draft =
        Draft::chat(crate::world::name("thermometer1"), &crate::world::name("al"), Body::parse("t").unwrap());
    draft.kind = MessageType::Notification;
    draft.metadata = serde_json::from_str(r#"{"temperature":22.9,"unit":"C"}"#).unwrap();
    world.api.append(vec![draft.clone()]).await.unwrap();
    let mut al = world.login("al").await;
    let line = al.line().await;
    assert!(line.starts_with("[Stored] [NOTIFICATION]["), "{line}");
    assert!(line.ends_with("][thermometer1] t Metadata: {\"temperature\":22.9,\"unit\":\"C\"}\n"), "{line}");
    draft.client_id = protocol::ClientId::fresh();
    world.api.append(vec![draft]).await.unwrap();
    let line = al.line().await;
    assert!(line.starts_with("[thermometer1]["), "{line}");
    assert!(line.ends_with("] t Metadata: {\"temperature\":22.9,\"unit\":\"C\"}\n"), "{line}");
}

#[tokio::test]
async fn what_metadata_holds_does_not_steer_the_terminal() {
    use protocol::{Body, Draft};
    let world = World::start().await;
    let mut al = world.login("al").await;
    let mut draft =
        Draft::chat(crate::world::name("eve"), &crate::world::name("al"), Body::parse("t").unwrap());
    draft.metadata = serde_json::from_str(r#"{"k\u202e":"\u009b31m\u0000\u2028"}"#).unwrap();
    world.api.append(vec![draft]).await.unwrap();
    let line = al.line().await;
    assert!(line.ends_with("] t Metadata: {\"k\\u202e\":\"\\u009b31m\\u0000\\u2028\"}\n"), "{line}");
}

#[tokio::test]
async fn stored_messages_are_delivered_in_order_and_once() {
    let world = World::start().await;
    for n in 0..150 {
        world.post(["ann", "ben"][n % 2], "carl", &format!("message {n}")).await;
    }
    let mut carl = world.login("carl").await;
    for n in 0..150 {
        assert_eq!(carl.stored().await, (["ann", "ben"][n % 2].to_owned(), format!("message {n}")));
    }
    carl.send("exit").await;
    carl.closed().await;
    let mut carl = world.login("carl").await;
    carl.heard_nothing().await;
}

/// The greeting is sent before unread messages are read.
#[tokio::test]
async fn what_is_stored_right_after_the_greeting_came_while_one_was_online() {
    let world = World::start().await;
    world.proxy.delay(Duration::from_millis(20));
    for n in 0..20 {
        let who = format!("guest-{n}");
        let mut guest = world.login(&who).await;
        world.post("script", &who, "welcome").await;
        assert_eq!(guest.live().await, ("script".to_owned(), "welcome".to_owned()), "{who}");
    }
}

#[tokio::test]
async fn a_note_to_self_is_delivered_once_and_rest_messages_are_live() {
    let world = World::start().await;
    let mut me = world.login("me").await;
    me.send("Me: note\n").await;
    assert_eq!(me.live().await, ("me".to_owned(), "note".to_owned()));
    world.post("script", "ME", "done").await;
    assert_eq!(me.live().await, ("script".to_owned(), "done".to_owned()));
    me.heard_nothing().await;
}

#[tokio::test]
async fn a_body_is_made_harmless() {
    let world = World::start().await;
    let (mut alice, mut bob) = (world.login("alice").await, world.login("bob").await);
    alice.send("bob: \x1b[31mred\x07 \u{202e}x\n").await;
    assert_eq!(bob.live().await.1, "[31mred x");
    alice.send("bob:   \n").await;
    assert!(alice.line().await.starts_with("Invalid message: a message cannot be empty"));
    alice.send(&format!("bob: {}\n", "x".repeat(17_000))).await;
    assert!(alice.line().await.contains("at most 16384 bytes"));
    alice.send("two words: hi\n").await;
    assert!(alice.line().await.starts_with("Invalid recipient: "));
}

#[tokio::test]
async fn a_name_is_free_as_soon_as_its_owner_is_gone() {
    let world = World::start().await;
    for _ in 0..20 {
        let alice = world.login("alice").await;
        drop(alice);
    }
    let mut first = world.login("alice").await;
    first.send("exit\n").await;
    first.closed().await;
    world.login("Alice").await;
}

#[tokio::test]
async fn messages_sent_before_the_peer_closed_its_side_are_answered() {
    use tokio::io::AsyncWriteExt;
    let world = World::start().await;
    world.post("ann", "bob", "for you").await;
    let mut bob = world.connect().await;
    bob.send("bob\nann: one\nann: two").await;
    bob.stream.shutdown().await.unwrap();
    bob.expect("Connected! Users online: bob\n").await;
    let lines = [bob.line().await, bob.line().await, bob.line().await];
    assert_eq!(lines.iter().filter(|line| *line == "User 'ann' is offline. Message saved.\n").count(), 2);
    assert_eq!(lines.iter().filter(|line| line.starts_with("[Stored] ")).count(), 1);
    bob.closed().await;
    assert_eq!(world.unseen("ann").await.len(), 2);
    world.nothing_unseen("bob").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_listed_proxy_the_client_counts_and_unconfirmed_messages_are_shown_again() {
    let world = World::with(|config| {
        config.proxies = vec![std::net::Ipv4Addr::LOCALHOST.into()];
        config.max_sessions_per_address = 1;
    })
    .await;
    let connect = async |client: &str| {
        let mut peer = Peer::connect(world.chat).await;
        peer.send(&format!("PROXY TCP4 {client} 198.51.100.1 56324 5000\r\n")).await;
        peer
    };
    let mut bob = connect("192.0.2.7").await;
    bob.expect("Enter your username: ").await;
    bob.send("bob\n").await;
    bob.expect("Connected! Users online: bob\n").await;
    let mut second = connect("192.0.2.7").await;
    second.expect("Too many connections from your address. Disconnecting...\n").await;
    world.post("ann", "bob", "one").await;
    assert_eq!(bob.live().await.1, "one");
    // The proxy has it; whether Bob has is unknown.
    drop(bob);
    let mut bob = loop {
        let mut back = connect("192.0.2.7").await;
        if back.hears("Enter your username: ").await {
            back.send("bob\n").await;
            if back.line().await.starts_with("Connected!") {
                break back;
            }
        }
    };
    assert_eq!(bob.stored().await.1, "one");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    bob.send("!check\n").await;
    world.nothing_unseen("bob").await;
    // Other clients on the proxy's machine are not affected.
    let mut local = world.login("local").await;
    local.send("bob: hi\n").await;
    assert_eq!(bob.live().await.1, "hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_logs_in_too_often_is_told_when_to_come_again() {
    let world = World::with(|config| {
        config.proxies = vec![std::net::Ipv4Addr::LOCALHOST.into()];
        config.logins_per_minute = 2;
    })
    .await;
    let login = async |address, client: &str, line: &str| {
        let mut peer = Peer::connect(address).await;
        peer.send(&format!("PROXY TCP6 {client} 2001:db8::1 56324 5000\r\n")).await;
        peer.expect("Enter your username: ").await;
        peer.send(line).await;
        peer
    };
    let mut bob = login(world.chat, "2001:db8:1::7", "bob\n").await;
    bob.expect("Connected! Users online: bob\n").await;
    let mut native = login(world.chat, "2001:db8:1::8", "{\"type\":\"hello\",\"name\":\"ann\"}\n").await;
    native.frame_of("welcome").await;
    let mut third = login(world.chat, "2001:db8:1::9", "carol\n").await;
    let refused = third.line().await;
    assert!(refused.starts_with("Too many logins from your address; try again in "), "{refused}");
    assert!(refused.ends_with(" seconds. Disconnecting...\n"), "{refused}");
    third.closed().await;
    let mut third = login(world.chat, "2001:db8:1::a", "{\"type\":\"hello\",\"name\":\"carol\"}\n").await;
    let refused = third.frame_of("error").await;
    assert_eq!(refused["code"], "full");
    assert!(refused["retry_after_ms"].as_u64().unwrap() > 20_000, "{refused}");
    let mut other = login(world.chat, "2001:db8:2::7", "carol\n").await;
    assert!(other.line().await.starts_with("Connected!"));
}
