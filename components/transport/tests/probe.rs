//! Probes of servers that work, that refuse, and that only accept connections.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use kit::Secret;
use protocol::limits::LINE_BYTES;
use protocol::name::PROBE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use transport::lines::{Line, Lines};
use transport::probe::{self, ProbeError, Step};
use transport::testing::FakeServers;

/// Longer than loopback takes, and short enough to wait for.
const WITHIN: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(10);

const WELCOME: &str = r#"Enter your username: {"type":"welcome","name":"p2p-probe","token":"t","online":[],"conversations":[],"durability":"fsync"}"#;

/// A server that answers each line with the next of these, and then not at all.
async fn server(answers: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (reader, mut writer) = stream.into_split();
        let mut lines = Lines::new(reader, LINE_BYTES);
        let mut answers = answers.iter();
        while let Ok(Some(Line::Text(line))) = lines.next().await {
            if let Some(answer) = answers.next() {
                let id = client_id(&line).unwrap_or_default();
                let answer = format!("{}\n", answer.replace("ID", &id));
                writer.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    address
}

fn client_id(frame: &str) -> Option<String> {
    let frame: serde_json::Value = serde_json::from_str(frame).ok()?;
    Some(frame["client_id"].as_str()?.to_owned())
}

fn token() -> Secret {
    Secret::new("a token".to_owned())
}

async fn chat(address: SocketAddr) -> ProbeError {
    probe::chat(address, &token(), WITHIN).await.unwrap_err()
}

#[tokio::test]
async fn a_message_comes_back() {
    let servers = FakeServers::start().await;
    let context = servers.context(CancellationToken::new());
    for _ in 0..3 {
        probe::chat(servers.chat, &context.service_token, PATIENCE).await.unwrap();
    }
    assert_eq!(servers.conversation(PROBE, PROBE, 3).await.len(), 3);
    let stored = http("HTTP/1.1 200 OK\r\n\r\n{}").await;
    probe::store(stored, &token(), PATIENCE).await.unwrap();
}

#[tokio::test]
async fn who_says_no_in_time_is_told_from_who_says_nothing() {
    let servers = FakeServers::start().await;
    let error = chat(servers.chat).await;
    assert!(error.is_refusal() && error.step() == Step::Login, "{error}");
    let words =
        format!("the chat server at {} answers and refuses: this name belongs to a service", servers.chat);
    assert_eq!(error.to_string(), words);
    let full = server(&["The server is full, please try again later. Disconnecting..."]).await;
    let error = chat(full).await;
    assert!(error.is_refusal() && error.to_string().contains("The server is full"), "{error}");
    let later = r#"{"type":"error","code":"retry","client_id":"ID","message":"the store is unavailable; send it again"}"#;
    let error = chat(server(Vec::leak(vec![WELCOME, later])).await).await;
    assert!(error.is_refusal(), "{error}");
    assert_eq!(error.to_string(), "not stored: the store refuses: the store is unavailable; send it again");
}

#[tokio::test]
async fn what_did_not_happen_is_said_with_how_long_it_was_waited_for() {
    let silent = server(&[]).await;
    let error = chat(silent).await;
    let words =
        format!("the chat server at {silent} accepts connections but does not answer a login within 300ms");
    assert_eq!((error.to_string(), error.is_refusal()), (words, false));
    let error = chat(server(&[WELCOME]).await).await;
    assert_eq!((error.step(), error.is_refusal()), (Step::Acknowledgement, false));
    assert!(error.to_string().ends_with("does not acknowledge a message within 300ms"), "{error}");
    let ack = r#"{"type":"ack","client_id":"ID","conversation":"dm:p2p-probe:p2p-probe","seq":1,"id":"01890a5d-ac96-774b-bcce-b302099a8057","at":"2026-11-20T23:21:22Z","durability":"fsync","online":true}"#;
    let error = chat(server(Vec::leak(vec![WELCOME, ack])).await).await;
    assert_eq!((error.step(), error.is_refusal()), (Step::Delivery, false));
    assert!(
        error.to_string().ends_with("acknowledges a message but does not deliver it within 300ms"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = chat(address).await;
    assert!(!error.is_refusal());
    assert!(
        error.to_string().starts_with(&format!("cannot connect to the chat server at {address}: ")),
        "{error}"
    );
    let error = probe::store(address, &token(), WITHIN).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot connect to the message API at "), "{error}");
}

/// A server that answers one request over HTTP and closes.
async fn http(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"]}") {
            stream.read_buf(&mut request).await.unwrap();
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    address
}

#[tokio::test]
async fn the_message_api_may_refuse_but_not_be_silent() {
    let full = "HTTP/1.1 507 Insufficient Storage\r\n\r\n{\"detail\":\"the disk is nearly full\"}";
    let error = probe::store(http(full).await, &token(), PATIENCE).await.unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.is_refusal()),
        ("not stored: the store refuses: the disk is nearly full", true)
    );
    let other = http("SSH-2.0-x\r\n").await;
    let error = probe::store(other, &token(), PATIENCE).await.unwrap_err();
    assert!(!error.is_refusal(), "{error}");
    let silent = server(&[]).await;
    let error = probe::store(silent, &token(), WITHIN).await.unwrap_err();
    let words = format!("the message API at {silent} does not acknowledge a message within 300ms");
    assert_eq!((error.to_string(), error.is_refusal()), (words, false));
}
