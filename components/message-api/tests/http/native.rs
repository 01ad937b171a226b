//! The endpoints of our own servers.

use protocol::api::{AppendResponse, Conversations, EventPage, UnseenPage, Users};
use protocol::limits::BATCH_DRAFTS;
use protocol::native::Durability;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::server::{Answer, Server};

async fn post(server: &Server, path: &str, body: &Value) -> Answer {
    server.ask_v1("POST", path, &body.to_string()).await
}

async fn get<T: DeserializeOwned>(server: &Server, path: &str) -> T {
    let answer = server.ask_v1("GET", path, "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_value(answer.json()).unwrap()
}

fn draft(to: &str, id: &str) -> Value {
    json!({"sender": "alice", "destination": to, "body": id, "client_id": id})
}

async fn append(server: &Server, drafts: &[Value]) -> AppendResponse {
    let answer = post(server, "/v1/append", &json!({ "drafts": drafts })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_value(answer.json()).unwrap()
}

#[tokio::test]
async fn a_batch_is_stored_once_however_often_it_is_sent() {
    let server = Server::start().await;
    let drafts = [draft("bob", "a"), draft("carol", "b"), draft("bob", "c")];
    let first = append(&server, &drafts).await;
    assert_eq!(first.durability, Durability::Fsync);
    assert_eq!(first.results.iter().map(|result| result.seq).collect::<Vec<_>>(), [1, 1, 2]);
    let again = append(&server, &drafts).await;
    assert!(again.results.iter().all(|result| result.duplicate));
    let same = |(one, other): (&protocol::api::Appended, &protocol::api::Appended)| one.id == other.id;
    assert!(first.results.iter().zip(&again.results).all(same));
    assert!(append(&server, &[]).await.results.is_empty());
}

#[tokio::test]
async fn batches_are_bounded_and_checked_whole() {
    let server = Server::start().await;
    let many: Vec<_> = (0..=BATCH_DRAFTS).map(|n| draft("bob", &n.to_string())).collect();
    let answer = post(&server, "/v1/append", &json!({ "drafts": many })).await;
    assert_eq!((answer.status, answer.json()["field"].as_str()), (422, Some("drafts")));
    let one_is_bad = json!({"drafts": [draft("bob", "fine"), draft("two words", "x")]});
    assert_eq!(post(&server, "/v1/append", &one_is_bad).await.status, 422);
    let missing = post(&server, "/v1/append", &json!({})).await;
    assert_eq!((missing.status, missing.json()["field"].as_str()), (422, Some("drafts")));
    assert!(get::<UnseenPage>(&server, "/v1/users/bob/unseen").await.events.is_empty());
}

#[tokio::test]
async fn unseen_pages_lead_to_the_end_and_say_where_the_feed_is() {
    let server = Server::start().await;
    append(&server, &(0..5).map(|n| draft("bob", &n.to_string())).collect::<Vec<_>>()).await;
    let first: UnseenPage = get(&server, "/v1/users/bob/unseen?limit=3").await;
    assert_eq!((first.events.len(), first.position.index), (3, 5));
    let next = first.next.unwrap();
    let second: UnseenPage = get(&server, &format!("/v1/users/bob/unseen?limit=3&after={next}")).await;
    assert_eq!((second.events.len(), second.next), (2, None));
    let bad = server.ask_v1("GET", "/v1/users/bob/unseen?after=x", "").await;
    assert_eq!((bad.status, bad.json()["field"].as_str()), (422, Some("after")));
    let bad = server.ask_v1("GET", "/v1/users/bob/unseen?limit=x", "").await;
    assert_eq!((bad.status, bad.json()["field"].as_str()), (422, Some("limit")));
}

#[tokio::test]
async fn cursors_move_what_is_unseen() {
    let server = Server::start().await;
    append(&server, &[draft("bob", "a"), draft("bob", "b")]).await;
    let to = |user: &str| json!({"moves": [{"user": user, "device": "phone", "conversation": "dm:alice:bob", "seq": 1}]});
    assert_eq!(post(&server, "/v1/cursors", &to("bob")).await.body, "{}");
    let page: UnseenPage = get(&server, "/v1/users/bob/unseen").await;
    assert_eq!(page.events.iter().map(|event| event.body.as_str()).collect::<Vec<_>>(), ["b"]);
    let stranger = post(&server, "/v1/cursors", &to("carol")).await;
    assert_eq!((stranger.status, stranger.json()["field"].as_str()), (422, Some("conversation")));
    let conversations: Conversations = get(&server, "/v1/users/bob/conversations").await;
    let summary = &conversations.conversations[0];
    assert_eq!((summary.head, summary.seen, summary.unseen), (2, 1, 1));
}

#[tokio::test]
async fn a_conversation_is_paged_in_both_directions() {
    let server = Server::start().await;
    append(&server, &(1..=5).map(|n| draft("bob", &n.to_string())).collect::<Vec<_>>()).await;
    for (query, seqs, more) in [
        ("", vec![1, 2, 3, 4, 5], false),
        ("?limit=2", vec![4, 5], true),
        ("?before=3&limit=1", vec![2], true),
        ("?after=3", vec![4, 5], false),
        ("?after=0&limit=2", vec![1, 2], true),
    ] {
        let page: EventPage = get(&server, &format!("/v1/conversations/dm:alice:bob/events{query}")).await;
        assert_eq!((page.events.iter().map(|event| event.seq).collect(), page.more), (seqs, more), "{query}");
    }
    let both = server.ask_v1("GET", "/v1/conversations/dm:alice:bob/events?after=1&before=2", "").await;
    assert_eq!(both.status, 422);
    let bad = server.ask_v1("GET", "/v1/conversations/dm:bob:alice/events", "").await;
    assert_eq!((bad.status, bad.json()["field"].as_str()), (422, Some("id")));
}

#[tokio::test]
async fn users_and_state_are_kept() {
    let server = Server::start().await;
    for name in ["zoe", "Adam"] {
        assert_eq!(
            post(&server, "/v1/users", &json!({"name": name, "address": "127.0.0.1:9"})).await.body,
            "{}"
        );
    }
    let long = json!({"name": "eve", "address": "x".repeat(101)});
    assert_eq!(post(&server, "/v1/users", &long).await.json()["field"], "address");
    let server = server.restart().await;
    let users: Users = get(&server, "/v1/users").await;
    assert_eq!(users.users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["zoe", "Adam"]);

    let put = async |key: &str, value: Value| {
        server.ask_v1("PUT", &format!("/v1/state/openai/{key}"), &json!({ "value": value }).to_string()).await
    };
    assert_eq!(put("alice", json!("angry")).await.body, "{}");
    assert_eq!(put("bob", json!({"a": 1})).await.body, "{}");
    assert_eq!(put("bob", Value::Null).await.body, "{}");
    assert_eq!(put("long", json!("x".repeat(9000))).await.json()["field"], "value");
    let state = server.ask_v1("GET", "/v1/state/openai", "").await;
    assert_eq!(state.body, r#"{"entries":{"alice":"angry"}}"#);
}
