//! The WebSocket as existing pages use it, and the page's own files.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::line_client::LineClient;
use crate::support::{Home, PATIENCE, http};

pub(crate) type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

pub(crate) async fn connect(page: SocketAddr) -> Socket {
    tokio_tungstenite::connect_async(format!("ws://{page}/ws")).await.unwrap().0
}

pub(crate) async fn say(socket: &mut Socket, frame: Value) {
    socket.send(Message::text(frame.to_string())).await.unwrap();
}

/// The next frame of one of these types; others are skipped.
pub(crate) async fn hear(socket: &mut Socket, kinds: &[&str]) -> Value {
    let search = async {
        while let Some(message) = socket.next().await {
            if let Message::Text(text) = message.unwrap() {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if kinds.contains(&frame["type"].as_str().unwrap()) {
                    return frame;
                }
            }
        }
        panic!("the socket closed; wanted {kinds:?}");
    };
    tokio::time::timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("no frame of {kinds:?}"))
}

#[tokio::test]
async fn a_page_logs_in_talks_and_is_told_who_comes_and_goes() {
    let launcher =
        tokio::task::spawn_blocking(|| Home::new().argument("--no-thermometer").up()).await.unwrap();
    let (page, chat) = (launcher.home.page, launcher.home.chat);
    let (mut bob, _) = LineClient::login(chat, "bob");
    bob.send("alice: waiting\n");
    assert_eq!(bob.line(), "User 'alice' is offline. Message saved.\n");

    let mut alice = connect(page).await;
    let port = chat.port().to_string();
    say(
        &mut alice,
        json!({"type": "login", "username": "alice", "server_host": chat.ip().to_string(), "server_port": port}),
    )
    .await;
    let success = hear(&mut alice, &["login_success"]).await;
    assert_eq!(success["online_users"], json!(["bob", "alice"]));
    let stored = hear(&mut alice, &["stored"]).await;
    assert_eq!((&stored["sender"], &stored["message"]), (&json!("bob"), &json!("waiting")));

    say(&mut alice, json!({"type": "chat", "recipient": "bob", "message": "hi"})).await;
    assert!(bob.line().ends_with("] hi\n"));
    bob.send("alice: <b>hello</b>\n");
    let chat_frame = hear(&mut alice, &["chat"]).await;
    assert_eq!((&chat_frame["sender"], &chat_frame["message"]), (&json!("bob"), &json!("<b>hello</b>")));

    let (carol, _) = LineClient::login(chat, "carol");
    let joined = hear(&mut alice, &["user_joined"]).await;
    assert_eq!(
        (&joined["username"], &joined["online_users"]),
        (&json!("carol"), &json!(["bob", "alice", "carol"]))
    );
    drop(carol);
    let left = hear(&mut alice, &["user_left"]).await;
    assert_eq!((&left["username"], &left["online_users"]), (&json!("carol"), &json!(["bob", "alice"])));

    alice.send(Message::text("not json")).await.unwrap();
    hear(&mut alice, &["system", "error"]).await;
    say(&mut alice, json!({"type": "dance"})).await;
    hear(&mut alice, &["system", "error"]).await;
    say(&mut alice, json!({"type": "chat", "recipient": "dave", "message": "later"})).await;
    let system = hear(&mut alice, &["system"]).await;
    assert_eq!(system["message"], "User 'dave' is offline. Message saved.");
    tokio::task::spawn_blocking(move || drop(launcher)).await.unwrap();
}

#[tokio::test]
async fn a_page_cannot_make_us_connect_anywhere() {
    let launcher =
        tokio::task::spawn_blocking(|| Home::new().argument("--no-thermometer").up()).await.unwrap();
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    let mut alice = connect(launcher.home.page).await;
    say(
        &mut alice,
        json!({"type": "login", "username": "alice", "server_host": "127.0.0.1", "server_port": port}),
    )
    .await;
    hear(&mut alice, &["system"]).await;
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.accept().is_err(), "nobody may have connected");

    let index = http::get(launcher.home.page, "/");
    assert_eq!(index.status, 200);
    assert!(
        index.head.to_ascii_lowercase().contains("content-security-policy: default-src 'none'"),
        "{}",
        index.head
    );
    let mut request = tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(
        format!("ws://{}/ws", launcher.home.page),
    )
    .unwrap();
    request.headers_mut().insert("Origin", "http://evil.example".parse().unwrap());
    assert!(tokio_tungstenite::connect_async(request).await.is_err(), "another page's origin is refused");
    tokio::task::spawn_blocking(move || drop(launcher)).await.unwrap();
}
