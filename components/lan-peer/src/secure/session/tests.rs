//! Tests of a session with an arbitrary peer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::lan::NodeId;
use protocol::lan::frame::{FRAME_BYTES, Frame, FrameError, VERSION};
use protocol::lan::view::Trust;
use protocol::{Body, Timestamp};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::super::keepalive::ANSWER;
use super::super::links::Arrival;
use super::{Greeting, Peer, SessionError, run};
use crate::config::Config;
use crate::node::{Node, Place};

const THEM: NodeId = NodeId::from_bytes([7; 32]);
const STREAM: u64 = 5;

/// The other side, and our own session with it.
struct Other {
    stream: DuplexStream,
    input: Vec<u8>,
    session: JoinHandle<Result<(), SessionError>>,
}

async fn node() -> (Arc<Node>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let (hints, _) = mpsc::channel(1);
    let place = Place { data: directory.path(), port: 1, hints, shutdown: CancellationToken::new() };
    let config = Config { name: "anna".to_owned(), ..Config::default() };
    (Arc::new(Node::open(config, place).await.unwrap()), directory)
}

fn hello() -> Frame {
    Frame::Hello { version: VERSION, name: "bert".to_owned(), port: 47600, stream: STREAM, first: 1 }
}

fn message(seq: u64, text: &str) -> Frame {
    let id = Uuid::from_u128(u128::from(seq) + 1);
    Frame::Message { seq, id, sent: Timestamp::from_micros(1), body: Body::parse(text).unwrap() }
}

impl Other {
    fn connect(node: &Arc<Node>) -> Self {
        let (stream, ours) = tokio::io::duplex(1 << 20);
        let node = Arc::clone(node);
        let remote = ([10, 0, 0, 1], 1).into();
        let peer = Peer { id: THEM, remote, local: IpAddr::from([127, 0, 0, 1]), dialled: false };
        let place = node.handshakes.begin(peer.remote.ip(), false).unwrap();
        let greeting = Greeting::Awaited(place);
        let session = tokio::spawn(async move { run(&node, ours, peer, greeting).await });
        Self { stream, input: Vec::new(), session }
    }

    /// Connects up to the point where both sides may send.
    async fn greet(node: &Arc<Node>) -> Self {
        let mut other = Self::connect(node);
        other.say(&hello()).await;
        assert!(matches!(other.hear().await, Frame::Hello { name, .. } if name == "anna"));
        assert!(matches!(other.hear().await, Frame::Ack { stream: STREAM, .. }));
        other
    }

    async fn say(&mut self, frame: &Frame) {
        self.say_bytes(&frame.to_bytes()).await;
    }

    async fn say_bytes(&mut self, bytes: &[u8]) {
        // The session may rightly have ended meanwhile.
        let _ = self.stream.write_all(bytes).await;
    }

    async fn hear(&mut self) -> Frame {
        loop {
            if let Some((frame, length)) = Frame::take(&self.input).unwrap() {
                self.input.drain(..length);
                return frame;
            }
            assert_ne!(self.stream.read_buf(&mut self.input).await.unwrap(), 0, "they hung up");
        }
    }

    /// How it ended.
    async fn ended(self) -> SessionError {
        let Self { stream, session, .. } = self;
        let ended = session.await.unwrap().unwrap_err();
        drop(stream);
        ended
    }
}

#[tokio::test]
async fn duplicate_and_reordered_messages_are_stored_once_and_in_order() {
    let (node, _directory) = node().await;
    let mut other = Other::greet(&node).await;
    for (seq, acknowledged) in [(1, 1), (3, 1), (1, 1), (2, 2), (u64::MAX, 2), (3, 3), (0, 3)] {
        other.say(&message(seq, &format!("text {seq}"))).await;
        assert_eq!(other.hear().await, Frame::Ack { stream: STREAM, seq: acknowledged }, "{seq}");
    }
    assert_eq!(node.store.texts(10).await.unwrap(), ["text 1", "text 2", "text 3"]);
    other.say(&Frame::Ping).await;
    assert_eq!(other.hear().await, Frame::Pong);
    let later = br#"{"type":"wave","hands":2}"#;
    other.say_bytes(&[&u32::try_from(later.len()).unwrap().to_be_bytes()[..], later].concat()).await;
    other.say(&Frame::Ping).await;
    assert_eq!(other.hear().await, Frame::Pong, "what a later version says is passed over");
}

#[tokio::test]
async fn a_peer_that_violates_the_protocol_is_disconnected() {
    type Expected = fn(&SessionError) -> bool;
    let framed =
        |json: &str| [&u32::try_from(json.len()).unwrap().to_be_bytes()[..], json.as_bytes()].concat();
    let too_long = u32::try_from(FRAME_BYTES + 1).unwrap().to_be_bytes().to_vec();
    let cases: [(Vec<u8>, Expected); 7] = [
        (hello().to_bytes(), |e| matches!(e, SessionError::Protocol(_))),
        (Frame::Ack { stream: 1, seq: 0 }.to_bytes(), |e| matches!(e, SessionError::Protocol(_))),
        (too_long, |e| matches!(e, SessionError::Frame(FrameError::TooLong(_)))),
        (vec![0xff; 4], |e| matches!(e, SessionError::Frame(FrameError::TooLong(_)))),
        (framed("not JSON"), |e| matches!(e, SessionError::Frame(FrameError::Json(_)))),
        (framed(&format!("{}1{}", "[".repeat(9000), "]".repeat(9000))), |e| {
            matches!(e, SessionError::Frame(_))
        }),
        (framed(r#"{"type":"message","seq":1,"id":"x","sent":"never","body":""}"#), |e| {
            matches!(e, SessionError::Frame(_))
        }),
    ];
    let (node, _directory) = node().await;
    for (bytes, expected) in cases {
        let mut other = Other::greet(&node).await;
        other.say_bytes(&bytes).await;
        let ended = other.ended().await;
        assert!(expected(&ended), "{ended:?} for {}", String::from_utf8_lossy(&bytes[..bytes.len().min(60)]));
    }
    let first: [(Frame, Expected); 3] = [
        (Frame::Ping, |e| matches!(e, SessionError::Protocol(_))),
        (Frame::Hello { version: 9, name: String::new(), port: 1, stream: 1, first: 1 }, |e| {
            matches!(e, SessionError::Version(9))
        }),
        (message(1, "too early"), |e| matches!(e, SessionError::Protocol(_))),
    ];
    for (frame, expected) in first {
        let mut other = Other::connect(&node);
        other.say(&frame).await;
        let ended = other.ended().await;
        assert!(expected(&ended), "{ended:?} for {frame:?}");
    }
    assert!(node.store.texts(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_incomplete_message_is_not_stored_and_its_sender_is_disconnected() {
    let (node, _directory) = node().await;
    let half = message(1, "never finished").to_bytes();
    let mut other = Other::greet(&node).await;
    other.say_bytes(&half[..half.len() - 1]).await;
    other.stream.shutdown().await.unwrap();
    assert!(matches!(other.ended().await, SessionError::Io(_)));

    let mut other = Other::greet(&node).await;
    // From here on time passes by itself.
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    for byte in &half[..half.len() - 1] {
        other.say_bytes(&[*byte]).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    assert!(matches!(other.ended().await, SessionError::Silent));
    assert!(begun.elapsed() >= ANSWER);
    tokio::time::resume();
    assert!(node.store.texts(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn control_characters_are_removed_from_a_name() {
    let (node, _directory) = node().await;
    let mut other = Other::connect(&node);
    let name = format!("be\u{1b}[31mrt\u{202e}{}", "x".repeat(10_000));
    other.say(&Frame::Hello { version: VERSION, name, port: 1, stream: STREAM, first: 1 }).await;
    assert!(matches!(other.hear().await, Frame::Hello { .. }));
    assert!(matches!(other.hear().await, Frame::Ack { .. }));
    let shown = node.overview().await.unwrap().peers[0].name.clone();
    assert!(shown.starts_with("be[31mrtxxx") && shown.chars().count() == 40, "{shown}");
}

#[tokio::test]
async fn a_connection_without_hello_is_displaced_by_others_and_times_out() {
    let (node, _directory) = node().await;
    let silent = Other::connect(&node);
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The maximum, and one more.
    let ip = |n: u8| IpAddr::from([10, 0, 1, n / 4]);
    let _others: Vec<_> = (0..64).map(|n| node.handshakes.begin(ip(n), false).unwrap()).collect();
    assert!(matches!(silent.ended().await, SessionError::Crowded));
    let begun = tokio::time::Instant::now();
    assert!(matches!(Other::connect(&self::node().await.0).ended().await, SessionError::Silent));
    assert!(begun.elapsed() <= Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_authenticated_peer_releases_its_handshake_place() {
    let (node, _directory) = node().await;
    let _other = Other::greet(&node).await;
    assert_eq!((node.handshakes.count(), node.links.count()), (0, 1));
}

#[tokio::test]
async fn a_peer_that_is_verified_while_connected_keeps_its_place() {
    let (node, _directory) = node().await;
    let nth = |n: u8| Arrival {
        peer: NodeId::from_bytes([n; 32]),
        dialled: false,
        remote: ([10, 1, 0, n], 1).into(),
    };
    let twin = |n: u8| {
        let mut id = [255; 32];
        id[0] = n;
        NodeId::from_bytes(id)
    };
    // Other strangers have all places but one.
    (0..=254).filter(|n| ![7, 170].contains(n)).for_each(|n| drop(node.enter(nth(n)).unwrap()));
    for n in 0..2 {
        let remote = ([10, 2, 0, n], 1).into();
        drop(node.enter(Arrival { peer: twin(n), dialled: false, remote }).unwrap());
    }
    let _other = Other::greet(&node).await;
    node.set_trust(THEM, Trust::Verified).await.unwrap();
    // A known peer connects, and the newest stranger is displaced.
    let known = Arrival { peer: NodeId::from_bytes([0xaa; 32]), ..nth(0) };
    node.record_authenticated(known.peer, "carl", known.remote).await.unwrap();
    assert!(node.set_trust(known.peer, Trust::Verified).await.unwrap());
    node.enter(known).unwrap();
    assert!(!node.links.of(THEM).unwrap().close.is_cancelled());
}
