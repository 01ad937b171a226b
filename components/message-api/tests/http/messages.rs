//! WIRE §3, literally.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{Answer, Server};

async fn post(server: &Server, body: &Value) -> Answer {
    server.ask("POST", "/messages/", &body.to_string()).await
}

fn hi(message: &str) -> Value {
    json!({"sender": "alice", "destination": "bob", "message": message})
}

#[tokio::test]
async fn a_message_is_posted_read_once_and_gone() {
    let server = Server::start().await;
    let answer = post(&server, &hi("hi: there")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"stored"}"#));
    assert!(answer.head.to_ascii_lowercase().contains("content-type: application/json"), "{}", answer.head);

    let inbox = server.ask("GET", "/messages/bob", "").await;
    assert_eq!(inbox.status, 200);
    assert!(inbox.head.to_ascii_lowercase().contains("content-type: application/json"), "{}", inbox.head);
    let message = &inbox.json()["messages"][0];
    let (id, timestamp) = (message["_id"].as_str().unwrap(), message["timestamp"].as_str().unwrap());
    assert!(timestamp.ends_with("+00:00") && timestamp.len() == 32, "{timestamp}");
    let expected = format!(
        r#"{{"messages":[{{"_id":"{id}","sender":"alice","destination":"bob","message":"hi: there","timestamp":"{timestamp}","type":"chat","metadata":{{}}}}]}}"#
    );
    assert_eq!(inbox.body, expected);

    let again = server.ask("GET", "/messages/bob", "").await;
    assert_eq!((again.status, again.body.as_str()), (200, r#"{"messages":[]}"#));
}

#[tokio::test]
async fn every_field_is_kept() {
    let server = Server::start().await;
    let full = json!({
        "sender": "thermometer1", "destination": "Bob", "message": "Temperature update",
        "timestamp": "2026-11-20T23:21:22.277391+00:00", "type": "notification",
        "metadata": {"temperature": 22.9, "unit": "C"},
    });
    assert_eq!(post(&server, &full).await.status, 200);
    let mut message = server.ask("GET", "/messages/Bob", "").await.json()["messages"][0].take();
    message.as_object_mut().unwrap().remove("_id").unwrap();
    assert_eq!(message, full, "its destination is spelled as its reader asked for it");
}

#[tokio::test]
async fn what_python_and_others_send_is_understood() {
    let server = Server::start().await;
    let lenient = json!({
        "sender": "alice", "destination": "bob", "message": "x", "timestamp": "2026-11-20T23:21:22.277391",
        "type": null, "metadata": null, "extra": 1,
    });
    assert_eq!(post(&server, &lenient).await.status, 200);
    let without_slash = server.ask("POST", "/messages", &hi("y").to_string()).await;
    assert_eq!(without_slash.body, r#"{"status":"stored"}"#);
    let messages = server.ask("GET", "/messages/bob", "").await.json();
    assert_eq!(messages["messages"][0]["timestamp"], "2026-11-20T23:21:22.277391+00:00");
    assert_eq!(messages["messages"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn health_is_exactly_ok() {
    let server = Server::start().await;
    let answer = server.ask("GET", "/health", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"ok"}"#));
}

#[tokio::test]
async fn a_bad_body_names_the_field() {
    let server = Server::start().await;
    let with = |field: &str, value: Value| {
        let mut body = hi("x");
        body[field] = value;
        body.to_string()
    };
    let without = |field: &str| {
        let mut body = hi("x");
        body.as_object_mut().unwrap().remove(field);
        body.to_string()
    };
    let cases = [
        ("not json".to_owned(), "body", "not JSON"),
        (r#"{"sender":"alice""#.to_owned(), "body", "not JSON"),
        (String::new(), "body", "not JSON"),
        ("[1]".to_owned(), "body", "object"),
        (without("sender"), "sender", "required"),
        (without("destination"), "destination", "required"),
        (without("message"), "message", "required"),
        (with("sender", json!("two words")), "sender", "a name cannot hold a space"),
        (with("destination", json!("x".repeat(33))), "destination", "at most 32 characters"),
        (with("destination", json!(7)), "destination", "expected"),
        (with("message", json!(" \u{1b}")), "message", "cannot be empty"),
        (with("message", json!("x".repeat(16 * 1024 + 1))), "message", "at most 16384 bytes"),
        (with("message", Value::Null), "message", "expected"),
        (with("timestamp", json!("yesterday")), "timestamp", "RFC 3339"),
        (with("type", json!("shout")), "type", "shout"),
        (with("metadata", json!([1])), "metadata", "expected"),
        (with("metadata", json!({"a": "x".repeat(9000)})), "metadata", "at most 8192 bytes"),
    ];
    for (body, field, says) in cases {
        let answer = server.ask("POST", "/messages/", &body).await;
        let problem = answer.json();
        assert_eq!((answer.status, problem["field"].as_str()), (422, Some(field)), "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    let bad_name = server.ask("GET", "/messages/two%20words", "").await;
    assert_eq!((bad_name.status, bad_name.json()["field"].as_str()), (422, Some("user")));
    assert_eq!(server.ask("GET", "/messages/bob", "").await.body, r#"{"messages":[]}"#);
}

#[tokio::test]
async fn control_characters_are_removed_before_anything_is_stored() {
    let server = Server::start().await;
    post(&server, &hi("\u{1b}[31mred\u{7}")).await;
    let inbox = server.ask("GET", "/messages/bob", "").await.json();
    assert_eq!(inbox["messages"][0]["message"], "[31mred");
}

#[tokio::test]
async fn a_body_without_end_is_not_read() {
    let server = Server::start().await;
    let request =
        format!("POST /messages/ HTTP/1.1\r\nHost: {}\r\nContent-Length: 10000000\r\n\r\n", server.address);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413", "answered before a byte of it came");
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    let server = Server::start().await;
    post(&server, &hi("kept")).await;
    let server = server.restart().await;
    let inbox = server.ask("GET", "/messages/bob", "").await.json();
    assert_eq!(inbox["messages"][0]["message"], "kept");
    let server = server.restart().await;
    assert_eq!(server.ask("GET", "/messages/bob", "").await.body, r#"{"messages":[]}"#);
}

/// More than sockets buffer, so that the server knows that it was not received.
const LARGE: usize = 3000;

async fn store_many(server: &Server, count: usize) {
    let filler = "x".repeat(8000);
    for start in (0..count).step_by(250) {
        let drafts: Vec<_> = (start..(start + 250).min(count))
            .map(|n| json!({"sender": format!("user{}", n % 5), "destination": "bob", "body": format!("{n} {filler}"), "client_id": n.to_string()}))
            .collect();
        let answer = server.ask_v1("POST", "/v1/append", &json!({ "drafts": drafts }).to_string()).await;
        assert_eq!(answer.status, 200);
    }
}

fn numbers(inbox: &Value) -> Vec<usize> {
    let messages = inbox["messages"].as_array().unwrap().iter();
    let number = |text: &str| text.split(' ').next().unwrap().parse().unwrap();
    messages.map(|message| number(message["message"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_client_disconnected_before_the_end_gets_everything_again() {
    let server = Server::start().await;
    store_many(&server, LARGE).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!("GET /messages/bob HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_exact(&mut vec![0; 1_000_000]).await.unwrap();
    drop(stream);
    let inbox = server.ask("GET", "/messages/bob", "").await.json();
    assert_eq!(numbers(&inbox), (0..LARGE).collect::<Vec<_>>(), "all of it, in order");
    assert_eq!(server.ask("GET", "/messages/bob", "").await.body, r#"{"messages":[]}"#);
}

#[tokio::test]
async fn invalid_names_are_rejected_with_their_field() {
    let server = Server::start().await;
    for (field, name, why) in [
        ("destination", "..", "dots alone"),
        ("sender", ".", "dots alone"),
        ("destination", "bob\u{3164}", "U+1160"),
        ("sender", "\u{430}lice", "cannot mix scripts"),
        ("sender", "WeatherI", "'WeatherI' looks like 'weather1', which is reserved for a service"),
    ] {
        let mut message = hi("hi");
        message[field] = name.into();
        let answer = post(&server, &message).await;
        assert_eq!((answer.status, &answer.json()["field"]), (422, &json!(field)), "{name}");
        assert!(answer.body.contains(why), "{}", answer.body);
    }
    let mut message = hi("hi");
    message["sender"] = "İstanbul".into();
    message["destination"] = "สมศักดิ์".into();
    assert_eq!(post(&server, &message).await.status, 200);
}

/// Stores small messages for bob.
async fn store_small(server: &Server, count: usize) {
    let drafts: Vec<_> = (0..count)
        .map(|n| json!({"sender": "alice", "destination": "bob", "body": format!("{n} x"), "client_id": format!("s{n}")}))
        .collect();
    let answer = server.ask_v1("POST", "/v1/append", &json!({ "drafts": drafts }).to_string()).await;
    assert_eq!(answer.status, 200);
}

const BOB: &str = "GET /messages/bob HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Reads answers from a connection that stays open, until this many were read completely.
async fn read_answers(stream: &mut TcpStream, count: usize) -> String {
    let mut text = String::new();
    let mut buffer = vec![0; 65536];
    while text.matches("\r\n0\r\n\r\n").count() < count {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "closed after {text}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    text
}

#[tokio::test]
async fn an_unread_answer_that_fits_into_buffers_is_delivered_again() {
    let server = Server::start().await;
    store_small(&server, 200).await;
    for read in [0, 12, 1000, 5000] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(BOB.as_bytes()).await.unwrap();
        // Everything is in the client's socket buffers before it closes.
        let mut peeked = vec![0; 1 << 20];
        loop {
            let count = stream.peek(&mut peeked).await.unwrap();
            if peeked[..count].ends_with(b"0\r\n\r\n") {
                break;
            }
            tokio::task::yield_now().await;
        }
        stream.read_exact(&mut vec![0; read]).await.unwrap();
        drop(stream);
    }
    let inbox = server.ask("GET", "/messages/bob", "").await.json();
    assert_eq!(numbers(&inbox), (0..200).collect::<Vec<_>>());
    assert_eq!(server.ask("GET", "/messages/bob", "").await.body, r#"{"messages":[]}"#);
}

#[tokio::test]
async fn a_second_answer_is_empty_however_soon_and_wherever_it_is_asked_for() {
    let server = Server::start().await;
    for round in 0..5 {
        let message = json!({"sender": "alice", "destination": "bob", "message": format!("{round}")});
        post(&server, &message).await;
        // On the same connection, which is kept open.
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(BOB.as_bytes()).await.unwrap();
        assert!(read_answers(&mut stream, 1).await.contains("alice"));
        stream.write_all(BOB.as_bytes()).await.unwrap();
        let again = read_answers(&mut stream, 1).await;
        assert!(!again.contains("alice"), "{again}");
        // On another one, while this is open.
        post(&server, &message).await;
        stream.write_all(BOB.as_bytes()).await.unwrap();
        assert!(read_answers(&mut stream, 1).await.contains("alice"));
        assert_eq!(server.ask("GET", "/messages/bob", "").await.body, r#"{"messages":[]}"#);
        // In one segment.
        post(&server, &message).await;
        stream.write_all(BOB.repeat(2).as_bytes()).await.unwrap();
        let both = read_answers(&mut stream, 2).await;
        assert_eq!(both.matches("alice").count(), 1, "{both}");
        // Also when one of our own servers requests unread messages.
        post(&server, &message).await;
        stream.write_all(BOB.as_bytes()).await.unwrap();
        read_answers(&mut stream, 1).await;
        let unread = server.ask_v1("GET", "/v1/users/bob/unseen", "").await.json();
        assert_eq!(unread["events"], json!([]));
    }
}

#[tokio::test]
async fn with_manual_acknowledgement_messages_are_delivered_until_the_client_confirms() {
    let server = Server::start().await;
    store_small(&server, 3).await;
    for _ in 0..2 {
        let inbox = server.ask("GET", "/messages/bob?ack=manual", "").await.json();
        assert_eq!(numbers(&inbox), [0, 1, 2]);
    }
    let first = server.ask("GET", "/messages/bob?ack=manual&limit=2", "").await;
    assert_eq!(numbers(&first.json()), [0, 1]);
    assert_eq!(server.ask("POST", "/messages/bob/seen", &first.body).await.body, "{}", "as it is");
    let rest = server.ask("GET", "/messages/bob?ack=manual", "").await.json();
    assert_eq!(numbers(&rest), [2]);
    let of = |seq: u64| json!({"messages": [{"conversation": "dm:alice:bob", "seq": seq}]}).to_string();
    let stranger = server.ask("POST", "/messages/carol/seen", &of(3)).await;
    assert_eq!((stranger.status, stranger.json()["field"].as_str()), (422, Some("conversation")));
    assert_eq!(server.ask("POST", "/messages/bob/seen", &of(3)).await.status, 200);
    assert_eq!(server.ask("GET", "/messages/bob", "").await.body, r#"{"messages":[]}"#);
    let bad = server.ask("GET", "/messages/bob?ack=perhaps", "").await;
    assert_eq!(bad.status, 422);
}

#[tokio::test]
async fn a_byte_order_mark_before_a_body_is_passed_over() {
    let server = Server::start().await;
    let body = format!("\u{feff}{}", hi("marked"));
    assert_eq!(server.ask("POST", "/messages/", &body).await.body, r#"{"status":"stored"}"#);
    assert_eq!(server.ask("GET", "/messages/bob", "").await.json()["messages"][0]["message"], "marked");
}

/// Begins to send a message of 20,000 bytes; the server reports when it begins to read it.
async fn begin_long(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /messages/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn is_read(stream: &mut TcpStream) {
    const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut said = vec![0; GO_ON.len()];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(said, GO_ON);
}

#[tokio::test]
async fn long_bodies_are_read_a_few_at_a_time_and_short_ones_at_once() {
    let server = Server::start().await;
    let mut open = Vec::new();
    for _ in 0..64 {
        let mut stream = begin_long(&server).await;
        is_read(&mut stream).await;
        open.push(stream);
    }
    let mut next = begin_long(&server).await;
    assert_eq!(post(&server, &hi("short")).await.status, 200);
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), is_read(&mut next)).await;
    assert!(early.is_err(), "it has to wait for one of the others");
    open[7].write_all(&[b'x'; 20_000]).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(5), is_read(&mut next)).await.unwrap();
}
