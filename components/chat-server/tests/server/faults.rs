//! The message API disconnects, hangs, returns; the server stops.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::world::World;

const NOT_CONFIRMED: &str = "Message not confirmed: the server's store does not answer. Please send the same line again; it will not come twice.\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_store_is_reported_within_a_second_and_used_again_when_it_is_back() {
    let mut world = World::start().await;
    let mut alice = world.login("alice").await;
    let mut bob = world.login("bob").await;
    world.stop_api().await;
    let asked = Instant::now();
    alice.send("bob: lost\n").await;
    alice.expect(NOT_CONFIRMED).await;
    assert!(asked.elapsed() < Duration::from_millis(1500), "{:?}", asked.elapsed());
    let mut carol = world.login("carol").await;
    world.start_api().await;
    world.post("script", "carol", "after").await;
    world.post("script", "bob", "missed by the feed").await;
    assert_eq!(bob.said().await, "missed by the feed");
    assert_eq!(carol.said().await, "after");
    alice.send("bob: again\n").await;
    assert_eq!(bob.said().await, "again");
    carol.heard_nothing().await;
    bob.heard_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_stored_across_a_short_interruption() {
    let world = World::start().await;
    let mut alice = world.login("alice").await;
    world.proxy.cut();
    alice.send("bob: patience\n").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.proxy.open();
    alice.expect("User 'bob' is offline. Message saved.\n").await;
    assert_eq!(world.unseen("bob").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_holds_nobody_up() {
    let world = World::start().await;
    let mut alice = world.login("alice").await;
    let (mut nat, _) = world.hello(r#"{"type":"hello","name":"nat","presence":false}"#).await;
    nat.frame_of("live").await;
    world.proxy.block();
    let asked = Instant::now();
    alice.send("bob: hm\n").await;
    nat.send("{\"type\":\"send\",\"client_id\":\"c1\",\"to\":\"bob\",\"body\":\"hm\"}\n").await;
    alice.expect(NOT_CONFIRMED).await;
    let retry = nat.frame().await;
    assert_eq!((&retry["code"], &retry["client_id"]), (&json!("retry"), &json!("c1")));
    assert!(retry["retry_after_ms"].as_u64().is_some());
    assert!(asked.elapsed() < Duration::from_millis(2000), "{:?}", asked.elapsed());
    world.proxy.open();
    nat.send("{\"type\":\"send\",\"client_id\":\"c1\",\"to\":\"bob\",\"body\":\"hm\"}\n").await;
    assert_eq!(nat.frame_of("ack").await["client_id"], json!("c1"));
    assert_eq!(world.unseen("bob").await.len(), 1, "sent twice, stored once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_message_does_not_overtake_one_that_must_be_sent_again() {
    let world = World::start().await;
    let (mut nat, _) = world.hello(r#"{"type":"hello","name":"nat","presence":false}"#).await;
    nat.frame_of("live").await;
    let send =
        |id: u32| format!("{{\"type\":\"send\",\"client_id\":\"c{id}\",\"to\":\"bob\",\"body\":\"{id}\"}}\n");
    world.proxy.block();
    nat.send(&send(1)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Its deadline has not passed when the store is back.
    nat.send(&send(2)).await;
    let retry = nat.frame().await;
    world.proxy.open();
    assert_eq!((&retry["code"], &retry["client_id"]), (&json!("retry"), &json!("c1")));
    let retry = nat.frame().await;
    assert_eq!((&retry["code"], &retry["client_id"]), (&json!("retry"), &json!("c2")));
    nat.send(&send(3)).await;
    assert_eq!(nat.frame().await["code"], json!("retry"));
    for id in 1..=3 {
        nat.send(&send(id)).await;
        assert_eq!(nat.frame_of("ack").await["seq"], json!(id));
    }
    assert_eq!(world.unseen("bob").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_breaks_and_resumes_loses_and_doubles_nothing() {
    let world = World::start().await;
    let mut bob = world.login("bob").await;
    let (mut nat, _) = world.hello(r#"{"type":"hello","name":"nat","presence":false}"#).await;
    nat.frame_of("live").await;
    for round in 0..5 {
        for n in 0..20 {
            if n == 10 {
                world.proxy.cut();
            }
            world.post("ann", "bob", &format!("{round}.{n}")).await;
            world.post("ann", "nat", &format!("{round}.{n}")).await;
        }
        world.proxy.open();
        for n in 0..20 {
            assert_eq!(bob.said().await, format!("{round}.{n}"));
            assert_eq!(nat.frame().await["event"]["body"], json!(format!("{round}.{n}")));
        }
    }
    bob.heard_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_run_of_the_message_api_loses_and_doubles_nothing() {
    let mut world = World::start().await;
    let mut bob = world.login("bob").await;
    let (mut nat, _) = world.hello(r#"{"type":"hello","name":"nat","presence":false}"#).await;
    nat.frame_of("live").await;
    for round in 0..3 {
        world.post("ann", "bob", &format!("before {round}")).await;
        world.post("ann", "nat", &format!("before {round}")).await;
        world.stop_api().await;
        world.start_api().await;
        world.post("ann", "bob", &format!("after {round}")).await;
        world.post("ann", "nat", &format!("after {round}")).await;
        for what in ["before", "after"] {
            assert_eq!(bob.said().await, format!("{what} {round}"));
            assert_eq!(nat.frame().await["event"]["body"], json!(format!("{what} {round}")));
        }
    }
    bob.heard_nothing().await;
    nat.send("{\"type\":\"ping\"}\n").await;
    assert_eq!(nat.frame().await["type"], json!("pong"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_answers_says_goodbye_and_remembers_what_was_seen() {
    let mut world = World::start().await;
    let mut bob = world.login("bob").await;
    let (mut nat, _) = world.hello(r#"{"type":"hello","name":"nat","presence":false}"#).await;
    nat.frame_of("live").await;
    world.post("ann", "bob", "seen just now").await;
    assert_eq!(bob.said().await, "seen just now");
    nat.send(
        "{\"type\":\"send\",\"client_id\":\"c1\",\"to\":\"zoe\",\"body\":\"last\"}\n{\"type\":\"ping\"}\n",
    )
    .await;
    assert_eq!(nat.frame().await["type"], json!("ack"));
    let began = Instant::now();
    world.stop_chat().await;
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    let bye = nat.frame_of("bye").await;
    assert!(bye["reconnect_after_ms"].as_u64().unwrap() <= 500);
    nat.closed().await;
    bob.closed().await;
    assert!(world.unseen("bob").await.is_empty());
    assert_eq!(world.unseen("zoe").await.len(), 1);
}
