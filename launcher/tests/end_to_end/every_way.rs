//! Clients of different kinds chat: book dialect, text dialect, a page's WebSocket and the message API, each with each, with the recipient
//! online or offline.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};

use crate::support::Home;
use crate::support::http::{get, post};
use crate::support::line_client::LineClient;
use crate::websocket::{Socket, connect, hear, say};

const WAYS: [&str; 4] = ["book", "text", "page", "rest"];
const PROMPT: &str = "Enter target and message (e.g., kiki-Hello!): ";

/// A client of one of these kinds.
enum Client {
    Book(LineClient),
    Text(LineClient),
    Page(Box<Socket>),
    /// Never online: it fetches everything.
    Rest,
}

/// The book dialect names the recipient, which has a dash.
fn sender(way: &str) -> String {
    format!("from-{way}")
}

fn receiver(way: &str) -> String {
    format!("to-{way}")
}

async fn come(home: &Home, way: &str, name: &str) -> Client {
    match way {
        "book" => {
            let mut client = LineClient::connect(home.book);
            client.send(&format!("{name}\n"));
            assert!(client.line().starts_with("Client book => "));
            Client::Book(client)
        }
        "text" => Client::Text(LineClient::login(home.chat, name).0),
        "page" => {
            let mut socket = connect(home.page).await;
            say(&mut socket, json!({"type": "login", "username": name})).await;
            hear(&mut socket, &["login_success"]).await;
            Client::Page(Box::new(socket))
        }
        _ => Client::Rest,
    }
}

impl Client {
    async fn says(&mut self, home: &Home, from: &str, to: &str, text: &str) {
        match self {
            Self::Book(client) => client.send(&format!("{to}-{text}\n")),
            Self::Text(client) => client.send(&format!("{to}: {text}\n")),
            Self::Page(socket) => {
                say(socket, json!({"type": "chat", "recipient": to, "message": text})).await
            }
            Self::Rest => {
                let body = json!({"sender": from, "destination": to, "message": text});
                assert_eq!(post(home.api, "/messages/", &body.to_string()).status, 200);
            }
        }
    }

    /// Waits for the answer to a sender whose recipient is offline.
    async fn is_told_it_is_stored(&mut self, to: &str) {
        match self {
            Self::Book(client) => client.until(&format!("User '{to}' is offline. Message stored.\n")),
            Self::Text(client) => client.until(&format!("User '{to}' is offline. Message saved.\n")),
            Self::Page(socket) => {
                let told = hear(socket, &["system"]).await;
                assert_eq!(told["message"], format!("User '{to}' is offline. Message saved."));
            }
            Self::Rest => {}
        }
    }

    /// Waits for a message, delivered live or stored.
    async fn hears(&mut self, home: &Home, me: &str, from: &str, text: &str, kept: bool) {
        match self {
            Self::Book(client) if kept => client.until(&format!("{from}: {text} (20")),
            Self::Book(client) => client.until(&format!("\n{from}: {text}\n")),
            Self::Text(client) if kept => {
                assert_text(&client.line(), "[Stored] [CHAT]", &format!("[{from}] {text} \n"))
            }
            Self::Text(client) => assert_text(&client.line(), &format!("[{from}]"), &format!(" {text}\n")),
            Self::Page(socket) => {
                let frame = hear(socket, &[if kept { "stored" } else { "chat" }]).await;
                assert_eq!((&frame["sender"], &frame["message"]), (&json!(from), &json!(text)));
                answer_ping(socket).await;
            }
            Self::Rest => {
                let answer: Value =
                    serde_json::from_str(&get(home.api, &format!("/messages/{me}")).body).unwrap();
                let messages = answer["messages"].as_array().unwrap();
                assert_eq!(messages.len(), 1, "{answer}");
                assert_eq!((&messages[0]["sender"], &messages[0]["message"]), (&json!(from), &json!(text)));
            }
        }
    }
}

/// Answers the ping after a message, as browsers do, which confirms it.
async fn answer_ping(socket: &mut Socket) {
    let pinged = async {
        while !socket.next().await.expect("it is open").unwrap().is_ping() {}
        socket.flush().await.unwrap();
    };
    tokio::time::timeout(crate::support::PATIENCE, pinged).await.expect("a ping follows each message");
}

fn assert_text(line: &str, start: &str, end: &str) {
    assert!(line.starts_with(start) && line.ends_with(end), "{line:?} is not {start:?} … {end:?}");
}

#[tokio::test]
async fn everybody_reaches_everybody_now_and_later() {
    let home = || Home::new().argument("--no-thermometer").argument("--no-openai").up();
    let launcher = tokio::task::spawn_blocking(home).await.unwrap();
    let home = &launcher.home;
    // The book has the recipient, who was online once.
    for way in WAYS {
        drop(LineClient::login(home.chat, &receiver(way)));
    }
    let mut receivers = Vec::new();
    for way in WAYS {
        receivers.push(come(home, way, &receiver(way)).await);
    }
    let mut senders = Vec::new();
    for way in WAYS {
        senders.push(come(home, way, &sender(way)).await);
    }
    for (from, said_by) in WAYS.iter().zip(&mut senders) {
        for (to, heard_by) in WAYS.iter().zip(&mut receivers) {
            let (from, to, text) = (sender(from), receiver(to), format!("now-{from}: {to}"));
            said_by.says(home, &from, &to, &text).await;
            if matches!(heard_by, Client::Rest) {
                said_by.is_told_it_is_stored(&to).await;
            }
            heard_by.hears(home, &to, &from, &text, false).await;
        }
    }
    drop(receivers);
    for way in ["book", "text", "page"] {
        until_away(home, &receiver(way));
    }
    for (from, said_by) in WAYS.iter().zip(&mut senders) {
        for to in WAYS {
            let (from, to, text) = (sender(from), receiver(to), format!("later-{from}: {to}"));
            said_by.says(home, &from, &to, &text).await;
            said_by.is_told_it_is_stored(&to).await;
        }
        for to in WAYS {
            let (from, to, text) = (sender(from), receiver(to), format!("later-{from}: {to}"));
            let mut heard_by = come(home, to.trim_start_matches("to-"), &to).await;
            heard_by.hears(home, &to, &from, &text, true).await;
            if let Client::Book(client) = &mut heard_by {
                client.until(PROMPT);
            }
            drop(heard_by);
            until_away(home, &to);
        }
    }
    tokio::task::spawn_blocking(move || drop(launcher)).await.unwrap();
}

/// Waits until the server has noticed that a user left.
fn until_away(home: &Home, name: &str) {
    crate::support::wait_for("somebody to be away", || {
        let (client, greeting) = LineClient::login(home.chat, "onlooker");
        drop(client);
        (!greeting.contains(name)).then_some(())
    });
}
