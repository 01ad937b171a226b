//! The native dialect between real sockets.

use serde_json::{Value, json};

use crate::world::World;

fn send(id: &str, to: &str, body: &str) -> String {
    format!("{}\n", json!({"type": "send", "client_id": id, "to": to, "body": body}))
}

fn hello(name: &str) -> String {
    json!({"type": "hello", "name": name}).to_string()
}

fn seqs(frame: &Value) -> (u64, bool) {
    (frame["event"]["seq"].as_u64().unwrap(), frame["replayed"].as_bool().unwrap_or(false))
}

#[tokio::test]
async fn from_hello_to_live() {
    let world = World::start().await;
    world.post("ann", "bob", "one").await;
    world.post("ann", "bob", "two").await;
    let (mut bob, welcome) = world.hello(&hello("bob")).await;
    assert_eq!((&welcome["type"], &welcome["name"]), (&json!("welcome"), &json!("bob")));
    assert_eq!(welcome["online"], json!(["bob"]));
    assert_eq!(welcome["durability"], json!("fsync"));
    assert_eq!(welcome["conversations"][0]["unseen"], json!(2));
    assert_eq!(welcome["token"].as_str().unwrap().len(), 64);
    assert_eq!(seqs(&bob.frame().await), (1, true));
    assert_eq!(seqs(&bob.frame().await), (2, true));
    assert_eq!(bob.frame().await, json!({"type": "live"}));
    world.post("ann", "bob", "three").await;
    assert_eq!(seqs(&bob.frame().await), (3, false));
    bob.send("{\"type\":\"ping\",\"nonce\":7}\n").await;
    assert_eq!(bob.frame().await, json!({"type": "pong", "nonce": 7}));
    assert_eq!(world.unseen("bob").await.len(), 3, "only `seen` moves the cursor");
    bob.send("{\"type\":\"seen\",\"conversation\":\"dm:ann:bob\",\"seq\":3}\n").await;
    world.nothing_unseen("bob").await;
}

#[tokio::test]
async fn a_message_is_acknowledged_once_it_is_stored_and_twice_is_once() {
    let world = World::start().await;
    let (mut alice, _) = world.hello(&hello("alice")).await;
    alice.frame_of("live").await;
    alice.send(&send("c1", "bob", "hi")).await;
    let ack = alice.frame().await;
    assert_eq!((&ack["type"], &ack["client_id"], &ack["seq"]), (&json!("ack"), &json!("c1"), &json!(1)));
    assert_eq!((&ack["online"], &ack["conversation"]), (&json!(false), &json!("dm:alice:bob")));
    assert_eq!(world.unseen("bob").await.len(), 1);
    alice.send(&send("c1", "bob", "hi")).await;
    let again = alice.frame().await;
    assert_eq!((&again["seq"], &again["duplicate"], &again["id"]), (&json!(1), &json!(true), &ack["id"]));
    assert_eq!(world.unseen("bob").await.len(), 1);
}

#[tokio::test]
async fn a_message_can_be_traced_from_its_sender_to_who_sees_it() {
    let world = World::start().await;
    let mut bob = world.login("bob").await;
    let (mut alice, _) = world.hello(&hello("alice")).await;
    alice.frame_of("live").await;
    let asked = json!({"type": "send", "client_id": "c1", "to": "bob", "body": "hi", "trace": true});
    alice.send(&format!("{asked}\n")).await;
    let ack = alice.frame_of("ack").await;
    assert_eq!(bob.said().await, "hi");
    world.nothing_unseen("bob").await;
    for message in ["c1", ack["id"].as_str().unwrap()] {
        alice.send(&format!("{}\n", json!({"type": "trace", "message": message}))).await;
        let trace = alice.frame_of("trace").await;
        assert_eq!((&trace["seq"], &trace["id"]), (&json!(1), &ack["id"]));
        let steps = trace["steps"].as_array().unwrap();
        let stages: Vec<_> = steps.iter().map(|step| step["stage"].as_str().unwrap()).collect();
        assert_eq!(stages, ["accepted", "stored", "feed", "written", "seen"]);
        assert!(steps[0]["place"].as_str().unwrap().starts_with("alice, native session "));
        assert!(steps[0]["place"].as_str().unwrap().contains(" from 127."), "it is her own");
        let place = steps[4]["place"].as_str().unwrap();
        assert!(place.starts_with("bob, text session ") && !place.contains(" from "), "{place}");
    }
    let (mut carol, _) = world.hello(&hello("carol")).await;
    carol.frame_of("live").await;
    carol.send("{\"type\":\"trace\",\"message\":\"c1\"}\n").await;
    assert_eq!(carol.frame_of("error").await["code"], json!("refused"), "it is none of hers");
    let mut operator = world.connect().await;
    let request = json!({"type": "trace", "message": "c1", "token": world.token.expose()});
    operator.send(&format!("{request}\n")).await;
    let trace = operator.frame_of("trace").await;
    assert_eq!(trace["client_id"], json!("c1"));
    assert!(trace["steps"][4]["place"].as_str().unwrap().contains(" from 127."), "{trace}");
    operator.closed().await;
}

#[tokio::test]
async fn two_sessions_of_one_user_are_told_the_same() {
    let world = World::start().await;
    let (mut laptop, welcome) = world.hello(&hello("alice")).await;
    laptop.frame_of("live").await;
    let (mut stranger, refusal) = world.hello(&hello("Alice")).await;
    assert_eq!(refusal["code"], json!("taken"));
    stranger.closed().await;
    let mut text = world.connect().await;
    text.send("alice\n").await;
    text.expect("Username already taken. Disconnecting...\n").await;

    let join = json!({"type": "hello", "name": "alice", "token": welcome["token"], "device": "phone"});
    let (mut phone, second) = world.hello(&join.to_string()).await;
    assert_eq!(second["token"], welcome["token"]);
    assert_eq!(second["online"], json!(["alice"]));
    phone.frame_of("live").await;

    laptop.send(&send("c1", "bob", "from the laptop")).await;
    assert_eq!(laptop.frame().await["type"], "ack");
    let echo = phone.frame().await;
    assert_eq!((&echo["event"]["client_id"], &echo["event"]["sender"]), (&json!("c1"), &json!("alice")));
    world.post("bob", "alice", "to both").await;
    assert_eq!(seqs(&laptop.frame().await), (2, false));
    assert_eq!(seqs(&phone.frame().await), (2, false));
    phone.send("{\"type\":\"seen\",\"conversation\":\"dm:alice:bob\",\"seq\":2}\n").await;
    assert_eq!(laptop.frame().await, json!({"type": "seen", "conversation": "dm:alice:bob", "seq": 2}));
}

#[tokio::test]
async fn a_device_is_replayed_from_what_it_holds() {
    let world = World::start().await;
    for n in 0..150 {
        world.post("ann", "bob", &n.to_string()).await;
    }
    for n in 0..3 {
        world.post("carl", "bob", &n.to_string()).await;
    }
    world.post("bob", "ann", "mine").await;
    let hello = json!({"type": "hello", "name": "bob", "cursors": {"dm:ann:bob": 10, "dm:x:y": 1}});
    let (mut bob, _) = world.hello(&hello.to_string()).await;
    for seq in 11..=151 {
        let frame = bob.frame().await;
        assert_eq!((&frame["event"]["conversation"], seqs(&frame)), (&json!("dm:ann:bob"), (seq, true)));
    }
    for seq in 1..=3 {
        let frame = bob.frame().await;
        assert_eq!((&frame["event"]["conversation"], seqs(&frame)), (&json!("dm:bob:carl"), (seq, true)));
    }
    assert_eq!(bob.frame().await["type"], "live");
}

#[tokio::test]
async fn a_client_without_replay_gets_none() {
    let world = World::start().await;
    world.post("ann", "bot", "old").await;
    let hello = json!({"type": "hello", "name": "bot", "replay": false, "conversations": false});
    let (mut bot, welcome) = world.hello(&hello.to_string()).await;
    assert_eq!(welcome["conversations"], json!([]));
    assert_eq!(bot.frame().await["type"], "live");
    world.post("ann", "bot", "new").await;
    assert_eq!(seqs(&bot.frame().await), (2, false));
}

#[tokio::test]
async fn presence_is_told_to_those_who_want_it() {
    let world = World::start().await;
    let (mut bob, _) = world.hello(&hello("bob")).await;
    let quiet = json!({"type": "hello", "name": "quiet", "presence": false});
    let (mut quiet, _) = world.hello(&quiet.to_string()).await;
    assert_eq!(quiet.frame().await["type"], "live");
    assert_eq!(bob.frame_of("presence").await, json!({"type": "presence", "name": "quiet", "online": true}));
    let alice = world.login("alice").await;
    assert_eq!(bob.frame_of("presence").await, json!({"type": "presence", "name": "alice", "online": true}));
    drop(alice);
    assert_eq!(bob.frame_of("presence").await, json!({"type": "presence", "name": "alice", "online": false}));
    quiet.send("{\"type\":\"ping\"}\n").await;
    assert_eq!(quiet.frame().await, json!({"type": "pong"}));
}

#[tokio::test]
async fn history_comes_in_pages() {
    let world = World::start().await;
    for n in 1..=5 {
        world.post("ann", "bob", &n.to_string()).await;
    }
    let (mut bob, _) = world.hello(&hello("bob")).await;
    bob.frame_of("live").await;
    bob.send("{\"type\":\"history\",\"with\":\"Ann\",\"limit\":2}\n").await;
    bob.send("{\"type\":\"history\",\"with\":\"Ann\",\"before\":4,\"limit\":9}\n").await;
    let seqs = |page: &Value| -> Vec<u64> {
        page["events"].as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()).collect()
    };
    let newest = bob.frame().await;
    assert_eq!(
        (&newest["type"], &newest["with"], &newest["more"]),
        (&json!("history"), &json!("Ann"), &json!(true))
    );
    assert_eq!(seqs(&newest), [4, 5]);
    let older = bob.frame().await;
    assert_eq!((seqs(&older), &older["more"]), (vec![1, 2, 3], &json!(false)));
}

#[tokio::test]
async fn only_services_can_use_their_names() {
    let world = World::start().await;
    let (mut thief, refusal) = world.hello(&hello("openai")).await;
    assert_eq!(refusal["code"], json!("reserved"));
    thief.closed().await;
    let wrong = json!({"type": "hello", "name": "OpenAI", "token": "guess"});
    assert_eq!(world.hello(&wrong.to_string()).await.1["code"], json!("reserved"));
    let right = json!({"type": "hello", "name": "openai", "token": world.token.expose()});
    assert_eq!(world.hello(&right.to_string()).await.1["type"], json!("welcome"));
}

#[tokio::test]
async fn what_is_wrong_is_named_and_the_connection_goes_on() {
    let world = World::start().await;
    let mut peer = world.connect().await;
    peer.send("{\"type\":\"hello\"}\n").await;
    assert_eq!(peer.frame().await["code"], json!("bad_frame"));
    peer.send("{\"type\":\"hello\",\"name\":\"bob\",\"presence\":false}\n").await;
    assert_eq!(peer.frame().await["type"], json!("welcome"));
    peer.frame_of("live").await;
    for (line, code) in [
        ("not json".to_owned(), "bad_frame"),
        ("{\"type\":\"dance\"}".to_owned(), "unknown_type"),
        ("{\"type\":\"send\",\"client_id\":\"c\",\"to\":\"x\",\"body\":\"\"}".to_owned(), "bad_frame"),
        ("{\"type\":\"seen\",\"conversation\":\"dm:ann:carl\",\"seq\":1}".to_owned(), "refused"),
        (format!("{{\"type\":\"send\",\"to\":\"x\",\"body\":\"{}\"}}", "y".repeat(70_000)), "too_long"),
    ] {
        peer.send(&format!("{line}\n")).await;
        assert_eq!(peer.frame().await["code"], json!(code), "{line:.60}");
    }
    peer.send("\n{\"type\":\"ping\"}\n").await;
    assert_eq!(peer.frame().await["type"], json!("pong"));
    for (login, code) in
        [("{\"type\":\"ping\"}", "expected_hello"), ("{\"type\":\"hello\",\"name\":\"a b\"}", "bad_name")]
    {
        let (mut peer, error) = world.hello(login).await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)));
        peer.closed().await;
    }
}

#[tokio::test]
async fn names_of_dots_alone_are_no_receivers_and_no_logins() {
    let world = World::start().await;
    let (mut bob, _) = world.hello(&hello("bob")).await;
    bob.frame_of("live").await;
    for name in [".", "..", "..."] {
        bob.send(&send("c", name, "hi")).await;
        let refused = bob.frame_of("error").await;
        assert!(refused["message"].as_str().unwrap().contains("dots alone"), "{refused}");
        let (mut peer, refused) = world.hello(&hello(name)).await;
        assert_eq!(refused["code"], json!("bad_name"), "{refused}");
        peer.closed().await;
    }
}

#[tokio::test]
async fn both_dialects_are_one_chat() {
    let world = World::start().await;
    let (mut bob, _) = world.hello(&hello("bob")).await;
    bob.frame_of("live").await;
    let mut alice = world.login("alice").await;
    alice.send("bob: from text").await;
    let event = bob.frame_of("event").await;
    assert_eq!((&event["event"]["sender"], &event["event"]["body"]), (&json!("alice"), &json!("from text")));
    bob.send(&send("c1", "alice", "from native\nwith two lines")).await;
    assert_eq!(alice.live().await, ("bob".to_owned(), "from native with two lines".to_owned()));
    assert_eq!(bob.frame_of("ack").await["online"], json!(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_a_client_sends_costs_something_of_its_allowance() {
    let world = World::with(|config| (config.messages_per_second, config.burst) = (100, 10)).await;
    let page = "{\"type\":\"history\",\"with\":\"bob\"}\n".to_owned();
    let frames = [
        ("{\"type\":\"seen\",\"conversation\":\"dm:al0:bob\",\"seq\":1}\n".to_owned(), 1000),
        ("{\"type\":\"ping\"}\n".to_owned(), 1000),
        ("\n".to_owned(), 1000),
        ("{\"type\":\"dance\"}\n".to_owned(), 100),
        ("{\"type\":\"trace\",\"message\":\"m\"}\n".to_owned(), 100),
        (page, 100),
    ];
    for (n, (frame, times)) in frames.into_iter().enumerate() {
        let hello = format!("{{\"type\":\"hello\",\"name\":\"al{n}\",\"presence\":false}}");
        let (mut peer, _) = world.hello(&hello).await;
        peer.frame_of("live").await;
        let began = std::time::Instant::now();
        peer.send(&format!("{}{{\"type\":\"ping\",\"nonce\":7}}\n", frame.repeat(times))).await;
        while peer.frame().await["nonce"] != json!(7) {}
        // A hundred messages' worth at a hundred a second, of which ten are free.
        assert!(began.elapsed() >= std::time::Duration::from_millis(850), "{frame}: {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_gets_delivery_receipts_only_after_delivery() {
    let world = World::start().await;
    let hello =
        |name: &str| json!({"type": "hello", "name": name, "presence": false, "receipts": true}).to_string();
    let (mut al, _) = world.hello(&hello("al")).await;
    al.frame_of("live").await;
    let (mut bob, _) = world.hello(&hello("bob")).await;
    bob.frame_of("live").await;
    al.send(&send("c1", "bob", "hi")).await;
    assert_eq!(al.frame_of("ack").await["online"], json!(true));
    assert_eq!(bob.frame_of("event").await["event"]["seq"], json!(1));
    // A ping's answer would follow it.
    al.send("{\"type\":\"ping\"}\n").await;
    assert_eq!(al.frame().await["type"], json!("pong"), "it was sent, and nobody has said that it arrived");
    bob.send("{\"type\":\"seen\",\"conversation\":\"dm:al:bob\",\"seq\":1}\n").await;
    assert_eq!(al.frame().await, json!({"type": "delivered", "conversation": "dm:al:bob", "seq": 1}));
    // For a text client, TCP acknowledgements confirm it.
    let mut cyd = world.login("cyd").await;
    al.send(&send("c2", "cyd", "hi")).await;
    assert_eq!(cyd.live().await.1, "hi");
    assert_eq!(al.frame_of("delivered").await["conversation"], json!("dm:al:cyd"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_by_rest_is_told_to_the_users_sessions_and_to_the_sender() {
    let world = World::start().await;
    let (mut al, _) = world.hello(r#"{"type":"hello","name":"al","presence":false,"receipts":true}"#).await;
    al.frame_of("live").await;
    let (mut bob, _) = world.hello(&hello("bob")).await;
    bob.frame_of("live").await;
    al.send(&send("c1", "bob", "hi")).await;
    bob.frame_of("event").await;
    assert!(world.fetch("/messages/bob").await.contains("\"hi\""));
    assert_eq!(bob.frame_of("seen").await, json!({"type": "seen", "conversation": "dm:al:bob", "seq": 1}));
    assert_eq!(al.frame_of("delivered").await["seq"], json!(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_of_another_log_are_ignored_and_clients_learn_its_name() {
    let mut world = World::start().await;
    world.post("ann", "bob", "one").await;
    let (mut bob, welcome) = world.hello(&hello("bob")).await;
    let log = welcome["log"].clone();
    assert!(log.is_string(), "{welcome}");
    bob.frame_of("live").await;
    bob.send("{\"type\":\"seen\",\"conversation\":\"dm:ann:bob\",\"seq\":1}\n").await;
    world.nothing_unseen("bob").await;
    let with = |log: &Value| {
        json!({"type": "hello", "name": "bob", "token": welcome["token"], "device": "d", "presence": false,
            "cursors": {"dm:ann:bob": 0}, "log": log})
        .to_string()
    };
    let (mut same, _) = world.hello(&with(&log)).await;
    assert_eq!(seqs(&same.frame_of("event").await), (1, true), "its cursors count");
    let (mut other, told) = world.hello(&with(&json!("00000000-0000-4000-8000-000000000000"))).await;
    assert_eq!(told["log"], log);
    assert_eq!(other.frame().await["type"], json!("live"), "nothing is past the user's cursor");
    // A restored backup has another log.
    world.restore().await;
    let bye = bob.frame_of("bye").await;
    assert!(bye["reason"].as_str().unwrap().contains("log"), "{bye}");
    let (_, welcome) = world.hello(&hello("zoe")).await;
    assert!(welcome["log"].is_string() && welcome["log"] != log);
}
