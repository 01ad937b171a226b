//! The feed over a real connection.

use std::time::Duration;

use protocol::api::{AppendRequest, AppendResponse, FeedFrame, FeedPosition, OwnBatch};
use protocol::{Body, Draft, UserName};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::server::{Server, TOKEN};

/// An open feed. Chunk sizes are on lines of their own between the lines of JSON.
struct Feed(BufReader<TcpStream>);

impl Feed {
    async fn open(server: &Server, from: Option<FeedPosition>) -> Self {
        let query =
            from.map(|from| format!("?epoch={}&after={}", from.epoch, from.index)).unwrap_or_default();
        Self::ask(server, &query).await
    }

    async fn ask(server: &Server, query: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "GET /v1/feed{query} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n",
            server.address
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self(BufReader::new(stream))
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(10), self.0.read_line(&mut line));
        let count = read.await.expect("the feed is not silent").unwrap();
        (count > 0).then_some(line)
    }

    async fn next(&mut self) -> Option<FeedFrame> {
        while let Some(line) = self.line().await {
            if line.starts_with('{') {
                return Some(serde_json::from_str(&line).unwrap());
            }
        }
        None
    }

    async fn start(&mut self) -> (FeedPosition, bool) {
        match self.next().await {
            Some(FeedFrame::Start { epoch, index, resumed, .. }) => (FeedPosition { epoch, index }, resumed),
            other => panic!("not a start: {other:?}"),
        }
    }

    async fn event(&mut self) -> (u64, String) {
        match self.next().await {
            Some(FeedFrame::Event { index, event }) => (index, event.body.to_string()),
            other => panic!("not an event: {other:?}"),
        }
    }
}

async fn post(server: &Server, message: &str) {
    let body = json!({"sender": "alice", "destination": "bob", "message": message}).to_string();
    assert_eq!(server.ask("POST", "/messages/", &body).await.status, 200);
}

#[tokio::test]
async fn posted_messages_appear_on_the_feed() {
    let server = Server::start().await;
    post(&server, "before").await;
    let mut feed = Feed::open(&server, None).await;
    let (position, resumed) = feed.start().await;
    assert_eq!((position.index, resumed), (1, false));
    for n in 2..=4 {
        post(&server, &n.to_string()).await;
        assert_eq!(feed.event().await, (n, n.to_string()));
    }
    let mut resumed = Feed::open(&server, Some(FeedPosition { index: 2, ..position })).await;
    assert_eq!(resumed.start().await, (FeedPosition { index: 2, ..position }, true));
    assert_eq!(resumed.event().await, (3, "3".to_owned()));
    assert_eq!(resumed.event().await, (4, "4".to_owned()));
}

#[tokio::test]
async fn a_reader_that_asks_for_it_is_told_of_its_batches_only_where_they_are() {
    let server = Server::start().await;
    let reader = uuid::Uuid::from_u128(7);
    let mut own = Feed::ask(&server, &format!("?own={reader}")).await;
    let mut all = Feed::open(&server, None).await;
    assert!(matches!(own.next().await, Some(FeedFrame::Start { own: true, .. })));
    assert!(matches!(all.next().await, Some(FeedFrame::Start { own: false, .. })));
    let [alice, bob] = ["alice", "bob"].map(|name| UserName::parse(name).unwrap());
    let drafts: Vec<Draft> =
        ["one", "two"].map(|body| Draft::chat(alice.clone(), &bob, Body::parse(body).unwrap())).into();
    let request = AppendRequest { drafts, own: Some(OwnBatch { reader, number: 1 }) };
    let answer = server.ask_v1("POST", "/v1/append", &serde_json::to_string(&request).unwrap()).await;
    let answer: AppendResponse = serde_json::from_value(answer.json()).unwrap();
    assert_eq!(answer.results.len(), 2);
    post(&server, "three").await;
    assert_eq!(own.next().await, Some(FeedFrame::Own { index: 2, batch: 1, first: 0, count: 2 }));
    assert_eq!(own.event().await, (3, "three".to_owned()));
    for (n, body) in [(1, "one"), (2, "two"), (3, "three")] {
        assert_eq!(all.event().await, (n, body.to_owned()), "everybody else gets the bodies");
    }
}

#[tokio::test]
async fn a_position_of_another_run_is_not_resumed() {
    let server = Server::start().await;
    post(&server, "x").await;
    let (position, _) = Feed::open(&server, None).await.start().await;
    let server = server.restart().await;
    let (now, resumed) = Feed::open(&server, Some(position)).await.start().await;
    assert!(!resumed && now.epoch != position.epoch && now.index == 0);
}

#[tokio::test]
async fn half_a_position_is_refused() {
    let server = Server::start().await;
    for (query, field) in [("after=1", "epoch"), ("epoch=67e55044-10b1-426f-9247-bb680e5fe0c8", "after")] {
        let answer = server.ask_v1("GET", &format!("/v1/feed?{query}"), "").await;
        assert_eq!((answer.status, answer.json()["field"].as_str()), (422, Some(field)));
    }
    assert_eq!(server.ask_v1("GET", "/v1/feed?epoch=x&after=1", "").await.status, 422);
}

#[tokio::test]
async fn an_open_feed_does_not_hold_up_the_end() {
    let server = Server::start().await;
    let mut feed = Feed::open(&server, None).await;
    feed.start().await;
    let begun = std::time::Instant::now();
    server.stop().await;
    assert!(begun.elapsed() < Duration::from_millis(1400), "{:?}", begun.elapsed());
    assert_eq!(feed.next().await, None);
}
