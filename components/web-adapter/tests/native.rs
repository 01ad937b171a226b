//! The native dialect over the WebSocket: frames are passed on unchanged; invalid ones are answered here.

#![allow(clippy::unwrap_used, reason = "this is a test, its helpers included")]

mod support;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use support::{Adapter, Browser, FakeChat, Peer, soon};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

const HELLO: &str = r#"{"type":"hello","name":"alice","future":{"field":[1]}}"#;

async fn joined(adapter: &Adapter, chat: &FakeChat) -> (Browser, Peer) {
    let mut page = adapter.browser().await;
    page.say(HELLO).await;
    let mut peer = chat.accept().await;
    assert_eq!(peer.hear().await.to_string(), HELLO);
    peer.welcome("alice", &["alice"]).await;
    assert_eq!(page.hear_json().await["type"], "welcome");
    assert_eq!(page.hear().await, r#"{"type":"live"}"#);
    (page, peer)
}

#[tokio::test]
async fn frames_pass_unchanged_both_ways_whatever_their_type() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let (mut page, mut peer) = joined(&adapter, &chat).await;
    page.say("{\n  \"type\": \"of the future\",\r\n  \"x\": \"a\\nb\"\n}").await;
    assert_eq!(peer.hear().await, json!({"type": "of the future", "x": "a\nb"}));
    peer.say(json!({"type": "news", "text": "ünï\u{1f389}"})).await;
    assert_eq!(page.hear().await, "{\"type\":\"news\",\"text\":\"ünï\u{1f389}\"}");
}

#[tokio::test]
async fn what_is_no_frame_is_answered_and_the_connection_goes_on() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let (mut page, mut peer) = joined(&adapter, &chat).await;
    let long = format!(r#"{{"type":"send","body":"{}"}}"#, "x".repeat(70_000));
    for (frame, code) in [
        (Message::text("hello"), "bad_frame"),
        (Message::text("{}\n{\"type\":\"ping\"}"), "bad_frame"),
        (Message::text("[{}]"), "bad_frame"),
        (Message::binary(vec![1, 2, 3]), "bad_frame"),
        (Message::text(long), "too_long"),
    ] {
        page.0.send(frame).await.unwrap();
        let answer = page.hear_json().await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)));
    }
    page.say(r#"{"type":"send","to":"bob"}"#).await;
    assert_eq!(peer.hear().await["to"], "bob");
}

#[tokio::test]
async fn a_frame_too_large_to_read_ends_the_connection_with_a_word() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let (page, mut peer) = joined(&adapter, &chat).await;
    // 10 MB exceed the kernel's buffers, so writing must not wait for reading.
    let (mut writer, mut reader) = page.0.split();
    let flood = async { writer.send(Message::text("x".repeat(10_000_000))).await };
    let hear = async {
        let mut heard = Vec::new();
        while let Some(Ok(message)) = reader.next().await {
            heard.push(message);
            if matches!(heard.last(), Some(Message::Close(_))) {
                break;
            }
        }
        heard
    };
    let (_, heard) = soon(async { tokio::join!(flood, hear) }).await;
    assert!(heard[0].to_text().unwrap().contains("too_long"), "{heard:?}");
    let Some(Message::Close(Some(close))) = heard.get(1) else { panic!("{heard:?}") };
    assert_eq!(u16::from(close.code), 1009);
    peer.ended().await;
}

#[tokio::test]
async fn the_first_frame_must_be_a_login_and_wrong_ones_are_told_so() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let mut page = adapter.browser().await;
    page.say("hello").await;
    assert_eq!(page.hear_json().await["code"], "bad_frame");
    page.say(r#"{"type":"ping"}"#).await;
    assert_eq!(page.hear_json().await["code"], "expected_hello");
    page.say(r#"{"type":"chat","recipient":"bob","message":"x"}"#).await;
    assert_eq!(page.hear().await, r#"{"type":"system","message":"Log in first."}"#);
    page.say(HELLO).await;
    assert_eq!(chat.accept().await.hear().await["name"], "alice");
}

#[tokio::test]
async fn a_server_that_goes_away_sends_the_page_back_later() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let (mut page, peer) = joined(&adapter, &chat).await;
    drop(peer);
    assert_eq!(page.hear().await, r#"{"type":"bye","reason":"lost connection to the chat server"}"#);
    assert_eq!(page.closed().await, 1013);

    let (mut page, mut peer) = joined(&adapter, &chat).await;
    peer.say(json!({"type": "bye", "reason": "restarting", "reconnect_after_ms": 50})).await;
    drop(peer);
    assert_eq!(page.hear_json().await["reconnect_after_ms"], 50);
    assert_eq!(page.closed().await, 1013);

    let address = chat.address;
    drop(chat);
    let adapter = Adapter::start(address).await;
    let mut page = adapter.browser().await;
    page.say(HELLO).await;
    assert_eq!(page.hear_json().await["type"], "bye");
    assert_eq!(page.closed().await, 1013);
}

#[tokio::test]
async fn a_refusal_is_final() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let mut page = adapter.browser().await;
    page.say(HELLO).await;
    let mut peer = chat.accept().await;
    peer.hear().await;
    peer.say(json!({"type": "error", "code": "taken", "message": "alice is online"})).await;
    drop(peer);
    assert_eq!(page.hear_json().await["code"], "taken");
    assert_eq!(page.closed().await, 1008);
}

#[tokio::test]
async fn what_is_said_just_before_leaving_reaches_the_server() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let (mut page, mut peer) = joined(&adapter, &chat).await;
    page.say(r#"{"type":"send","to":"bob","body":"bye"}"#).await;
    page.0.close(None).await.unwrap();
    assert_eq!(peer.hear().await["body"], "bye");
    peer.ended().await;
}

#[tokio::test]
async fn a_browser_that_does_not_read_makes_us_stop_reading_the_server() {
    let chat = FakeChat::start().await;
    let adapter = Adapter::start(chat.address).await;
    let (_page, mut peer) = joined(&adapter, &chat).await;
    let frame = format!("{{\"type\":\"event\",\"x\":\"{}\"}}\n", "x".repeat(60_000));
    let mut written = 0;
    let stalled = async {
        loop {
            peer.writer.write_all(frame.as_bytes()).await.unwrap();
            written += frame.len();
        }
    };
    // Between the two ends are only the kernel's buffers; once they are full, nothing more is read.
    assert!(tokio::time::timeout(Duration::from_secs(1), stalled).await.is_err());
    assert!(written < 64 << 20, "{written} bytes were taken for a browser that reads nothing");
}

#[tokio::test]
async fn at_the_end_every_page_is_told_and_the_adapter_returns() {
    let chat = FakeChat::start().await;
    let mut adapter = Adapter::start(chat.address).await;
    let (mut page, mut peer) = joined(&adapter, &chat).await;
    adapter.shutdown.cancel();
    assert_eq!(page.hear_json().await["type"], "bye");
    assert_eq!(page.closed().await, 1001);
    peer.ended().await;
    drop(peer);
    soon(&mut adapter.ended).await.unwrap().unwrap();
}
