//! Slow readers: they delay nobody, and miss nothing.

use std::time::Duration;

use protocol::{Body, Draft};
use serde_json::json;

use crate::peer::Peer;
use crate::world::{World, name};

/// More than all buffers between the server and a peer that does not read.
pub(crate) const FLOOD: usize = 3000;

pub(crate) fn body(n: usize) -> String {
    format!("{n} {}", "x".repeat(2000))
}

async fn flood(world: &World, to: &str) {
    let mut sender = world.login("sender").await;
    for batch in 0..FLOOD / 50 {
        let lines = (0..50).map(|n| format!("{to}: {}\n", body(batch * 50 + n)));
        sender.send(&lines.collect::<String>()).await;
    }
    // Answers are in order, so everything is stored and delivered once this one arrives.
    sender.send("done\n").await;
    while !sender.line().await.starts_with("Invalid format") {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_session_that_does_not_read_gets_everything_once_it_does() {
    let world = World::with(|config| config.outbox_bytes = 64 * 1024).await;
    let mut slow = Peer::connect_small(world.chat).await;
    slow.expect("Enter your username: ").await;
    slow.send("slow\n").await;
    slow.expect("Connected! Users online: slow\n").await;
    flood(&world, "slow").await;
    let (mut other, mut another) = (world.login("other").await, world.login("another").await);
    other.send("another: nobody waits\n").await;
    // As stored, if it is stored before the new session begins to read.
    assert_eq!(another.said().await, "nobody waits");
    for n in 0..FLOOD {
        assert_eq!(slow.said().await, body(n));
    }
    slow.heard_nothing().await;
    world.nothing_unseen("slow").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_session_that_does_not_read_gets_everything_once_it_does() {
    let world = World::with(|config| config.outbox_bytes = 64 * 1024).await;
    let mut slow = Peer::connect_small(world.chat).await;
    slow.expect("Enter your username: ").await;
    slow.send(&format!("{}\n", json!({"type": "hello", "name": "slow", "presence": false}))).await;
    assert_eq!(slow.frame().await["type"], "welcome");
    assert_eq!(slow.frame().await["type"], "live");
    flood(&world, "slow").await;
    let mut replayed = 0;
    for seq in 1..=FLOOD as u64 {
        let frame = slow.frame().await;
        assert_eq!(frame["event"]["seq"], json!(seq));
        replayed += usize::from(frame["replayed"] == json!(true));
    }
    assert!(replayed > 0, "the queue was given up to the store");
    slow.send("{\"type\":\"ping\"}\n").await;
    assert_eq!(slow.frame().await["type"], "pong");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnected_client_receives_again_what_did_not_arrive() {
    let world = World::start().await;
    let mut bob = Peer::connect_small(world.chat).await;
    bob.expect("Enter your username: ").await;
    bob.send("bob\n").await;
    bob.expect("Connected! Users online: bob\n").await;
    flood(&world, "bob").await;
    let mut read = 0;
    while read < 100 {
        assert_eq!(bob.said().await, body(read));
        read += 1;
    }
    // Closing with bytes unread resets the connection: nothing after what was acknowledged counts as seen.
    drop(bob);
    let mut bob = world.login("bob").await;
    let (_, first) = bob.stored().await;
    let first: usize = first.split(' ').next().unwrap().parse().unwrap();
    assert!(first > 0, "what was read is not shown again");
    for n in first + 1..FLOOD {
        assert_eq!(bob.stored().await.1, body(n));
    }
    bob.heard_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_in_during_a_flood_shows_everything_once() {
    let world = World::start().await;
    for n in 0..200 {
        world.post("sender", "bob", &n.to_string()).await;
    }
    let mut sender = world.login("sender").await;
    let login = world.login("bob");
    let lines: String = (200..1000).map(|n| format!("bob: {n}\n")).collect();
    let (mut bob, ()) = tokio::join!(login, sender.send(&lines));
    for n in 0..1000 {
        assert_eq!(bob.said().await, n.to_string());
    }
    bob.heard_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_reads_nothing_is_disconnected_and_gets_the_rest_when_it_reconnects() {
    let world = World::with(|config| config.write_timeout = Duration::from_secs(1)).await;
    let mut bob = Peer::connect_small(world.chat).await;
    bob.expect("Enter your username: ").await;
    bob.send("bob\n").await;
    bob.expect("Connected! Users online: bob\n").await;
    flood(&world, "bob").await;
    let mut back = loop {
        let mut back = world.connect().await;
        back.send("bob\n").await;
        if back.line().await.starts_with("Connected!") {
            break back;
        }
    };
    let (_, first) = back.stored().await;
    let first: usize = first.split(' ').next().unwrap().parse().unwrap();
    for n in first + 1..FLOOD {
        assert_eq!(back.stored().await.1, body(n));
    }
    // The old connection and the new one together received everything.
    for n in 0..first {
        assert_eq!(bob.said().await, body(n));
    }
}

/// Many messages are stored without the chat server, so that it sends only what its sessions read.
pub(crate) async fn flood_behind(world: &World, to: &str) {
    for batch in 0..FLOOD / 100 {
        let draft = |n| Draft::chat(name("sender"), &name(to), Body::parse(&body(batch * 100 + n)).unwrap());
        world.api.append((0..100).map(draft).collect()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_reader_costs_no_reads_of_the_store() {
    let world = World::with(|config| config.outbox_bytes = 64 * 1024).await;
    let mut other = world.login("other").await;
    let mut slow = Peer::connect_small(world.chat).await;
    slow.expect("Enter your username: ").await;
    slow.send("slow\n").await;
    slow.expect("Connected! Users online: other, slow\n").await;
    // The feed is in order: once the others have their messages, the session was offered all of this.
    flood_behind(&world, "slow").await;
    world.post("sender", "other", "full").await;
    assert_eq!(other.live().await.1, "full");
    let mut reads = world.proxy.reads();
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = world.proxy.reads();
        if std::mem::replace(&mut reads, now) == now {
            break;
        }
    }
    flood_behind(&world, "slow").await;
    world.post("sender", "other", "still full").await;
    assert_eq!(other.live().await.1, "still full");
    assert_eq!(world.proxy.reads(), reads, "nothing is read for somebody who takes nothing");
    for n in (0..FLOOD).chain(0..FLOOD) {
        assert_eq!(slow.said().await, body(n));
    }
    assert!(world.proxy.reads() > reads);
    slow.heard_nothing().await;
}
