//! WIRE §4, frame by frame: pages written for similar servers.

#![allow(clippy::unwrap_used, reason = "this is a test, its helpers included")]

mod support;

use serde_json::json;
use support::{Adapter, FakeChat, Network};

const TIME: &str = r#""timestamp":"2026-11-20T23:21:22.277391+00:00""#;

#[tokio::test]
async fn a_chat_between_a_page_and_the_others() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let mut page = adapter.browser().await;
    let mut peer = page.login(&chat, "alice", &["thermometer1", "alice"]).await;

    peer.say(json!({"type": "presence", "name": "bob", "online": true})).await;
    assert_eq!(
        page.hear().await,
        r#"{"type":"user_joined","username":"bob","online_users":["thermometer1","alice","bob"]}"#
    );

    peer.event(1, "bob", "hello", json!({})).await;
    assert_eq!(page.hear().await, format!(r#"{{"type":"chat","sender":"bob",{TIME},"message":"hello"}}"#));
    let seen = json!({"type": "seen", "conversation": "dm:alice:bob", "seq": 1});
    assert_eq!(page.until_heard_by(&mut peer).await, seen);

    page.say(r#"{"type":"chat","recipient":"bob","message":"hi"}"#).await;
    let send = peer.hear().await;
    assert_eq!((&send["type"], &send["to"], &send["body"]), (&json!("send"), &json!("bob"), &json!("hi")));
    peer.ack(&send, true).await;

    peer.say(json!({"type": "presence", "name": "bob", "online": false})).await;
    assert_eq!(
        page.hear().await,
        r#"{"type":"user_left","username":"bob","online_users":["thermometer1","alice"]}"#
    );

    page.say(r#"{"type":"chat","recipient":"bob","message":"still there?"}"#).await;
    let send = peer.hear().await;
    peer.ack(&send, false).await;
    assert_eq!(page.hear().await, r#"{"type":"system","message":"User 'bob' is offline. Message saved."}"#);
}

#[tokio::test]
async fn kept_messages_and_notifications_have_frames_of_their_own() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let mut page = adapter.browser().await;
    let mut peer = page.login(&chat, "alice", &["alice"]).await;
    peer.event(7, "bob", "see you", json!({"replayed": true})).await;
    assert_eq!(
        page.hear().await,
        format!(r#"{{"type":"stored","sender":"bob",{TIME},"message":"see you"}}"#)
    );
    assert_eq!(page.until_heard_by(&mut peer).await["seq"], 7);
    let reading = json!({"type": "notification", "metadata": {"temperature": 22.9, "unit": "C"}});
    peer.event(1, "thermometer1", "Temperature update", reading).await;
    assert_eq!(
        page.hear().await,
        format!(
            r#"{{"type":"notification","sender":"thermometer1",{TIME},"message":"Temperature update","metadata":{{"temperature":22.9,"unit":"C"}}}}"#
        )
    );
}

#[tokio::test]
async fn a_bad_frame_is_answered_and_costs_nothing_else() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let mut page = adapter.browser().await;
    let mut peer = page.login(&chat, "alice", &["alice"]).await;
    let long = format!(r#"{{"type":"chat","recipient":"bob","message":"{}"}}"#, "x".repeat(70_000));
    for (frame, word) in [
        ("hello", "not a JSON object"),
        (r#"{"type":"dance"}"#, "unknown type 'dance'"),
        (r#"{"type":"chat","recipient":"bob"}"#, "missing field"),
        (r#"{"type":"chat","recipient":"","message":"x"}"#, "Invalid recipient"),
        (r#"{"type":"command","command":"no colon here"}"#, "Invalid format. Use: TO_USERNAME: MESSAGE"),
        (&long, "at most 65536 bytes"),
    ] {
        page.say(frame).await;
        let answer = page.hear_json().await;
        assert_eq!(answer["type"], "system");
        assert!(answer["message"].as_str().unwrap().contains(word), "{answer}");
    }
    page.say(r#"{"type":"command","command":"!check"}"#).await;
    page.say(r#"{"type":"command","command":"bob: as text"}"#).await;
    assert_eq!(peer.hear().await["body"], "as text");
}

#[tokio::test]
async fn a_page_cannot_make_us_connect_anywhere_it_likes() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let other = FakeChat::start().await;
    let mut page = adapter.browser().await;
    let login = |host: &str, port: u16| {
        json!({"type": "login", "username": "alice", "server_host": host, "server_port": port.to_string()})
            .to_string()
    };
    for (host, port) in
        [("127.0.0.1", other.address.port()), ("evil.example", chat.address.port()), ("169.254.169.254", 80)]
    {
        page.say(&login(host, port)).await;
        let answer = page.hear_json().await;
        assert_eq!(answer["type"], "system");
        assert!(answer["message"].as_str().unwrap().contains("not one that this page may use"), "{answer}");
    }
    page.say(&login("localhost", chat.address.port())).await;
    let mut peer = chat.accept().await;
    assert_eq!(peer.hear().await["type"], "hello");
}

#[tokio::test]
async fn a_listed_chat_server_may_be_named() {
    let (chat, other) = (FakeChat::start().await, FakeChat::start().await);
    let config = web_adapter::Config { chat_servers: vec![other.address], ..web_adapter::Config::default() };
    let adapter = Adapter::with(chat.address, config).await;
    let mut page = adapter.browser().await;
    let port = other.address.port();
    page.say(&format!(
        r#"{{"type":"login","username":"alice","server_host":"127.0.0.1","server_port":{port}}}"#
    ))
    .await;
    assert_eq!(other.accept().await.hear().await["name"], "alice");
}

#[tokio::test]
async fn a_login_that_cannot_be_says_why_and_closes() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let mut page = adapter.browser().await;
    page.say(r#"{"type":"login","username":"two words"}"#).await;
    let answer = page.hear_json().await;
    assert!(
        answer["message"].as_str().unwrap().starts_with("Invalid username: a name cannot hold a space"),
        "{answer}"
    );
    assert_eq!(page.closed().await, 1008);

    let mut page = adapter.browser().await;
    page.say(r#"{"type":"login","username":"alice"}"#).await;
    let mut peer = chat.accept().await;
    peer.hear().await;
    peer.say(json!({"type": "error", "code": "taken", "message": "taken"})).await;
    assert_eq!(
        page.hear().await,
        r#"{"type":"system","message":"Username already taken. Disconnecting..."}"#
    );
    assert_eq!(page.closed().await, 1008);
}

#[tokio::test]
async fn a_restart_of_the_chat_server_loses_nothing() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let mut page = adapter.browser().await;
    let peer = page.login(&chat, "alice", &["alice", "bob"]).await;
    drop(peer);
    assert!(
        page.hear_json().await["message"]
            .as_str()
            .unwrap()
            .starts_with("Lost connection to the chat server.")
    );
    page.say(r#"{"type":"chat","recipient":"bob","message":"said meanwhile"}"#).await;
    let mut peer = chat.accept().await;
    peer.hear().await;
    peer.welcome("alice", &["alice"]).await;
    assert!(page.hear_json().await["message"].as_str().unwrap().contains("back"));
    assert_eq!(page.hear().await, r#"{"type":"user_left","username":"bob","online_users":["alice"]}"#);
    assert_eq!(peer.hear().await["body"], "said meanwhile");
}

#[tokio::test]
async fn without_a_chat_server_the_page_is_told_to_try_again() {
    let chat = FakeChat::start().await;
    let address = chat.address;
    drop(chat);
    let adapter = Adapter::start(address).await;
    let mut page = adapter.browser().await;
    page.say(r#"{"type":"login","username":"alice"}"#).await;
    assert!(
        page.hear_json().await["message"].as_str().unwrap().contains("Lost connection to the chat server")
    );
    assert_eq!(page.closed().await, 1013);
}

#[tokio::test]
async fn what_is_said_just_before_leaving_is_still_stored() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let mut page = adapter.browser().await;
    let mut peer = page.login(&chat, "alice", &["alice"]).await;
    page.say(r#"{"type":"chat","recipient":"bob","message":"bye"}"#).await;
    page.0.close(None).await.unwrap();
    let send = peer.hear().await;
    assert_eq!(send["body"], "bye");
    peer.ack(&send, false).await;
    peer.ended().await;
}

#[tokio::test]
async fn what_a_network_swallows_is_not_seen() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let network = Network::to(&adapter).await;
    let mut page = adapter.browser_behind(&network).await;
    let mut peer = page.login(&chat, "alice", &["alice"]).await;
    peer.event(1, "bob", "before", json!({})).await;
    assert!(page.hear().await.contains("before"));
    assert_eq!(page.until_heard_by(&mut peer).await["seq"], 1);
    network.swallow();
    for seq in 2..7 {
        peer.event(seq, "bob", "lost", json!({})).await;
        // The page's message is passed on, and arrives after the adapter's notices about the earlier one.
        page.say(r#"{"type":"chat","recipient":"bob","message":"on and on"}"#).await;
        let heard = peer.hear().await;
        assert_eq!(heard["type"], "send", "{heard}");
    }
}

#[tokio::test]
async fn a_byte_order_mark_before_a_frame_is_passed_over() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let mut page = adapter.browser().await;
    let mut peer = page.login(&chat, "alice", &["alice"]).await;
    page.say("\u{feff}{\"type\":\"chat\",\"recipient\":\"bob\",\"message\":\"hi\"}").await;
    assert_eq!(peer.hear().await["body"], "hi");
}
