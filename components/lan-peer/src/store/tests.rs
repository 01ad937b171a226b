//! The store, without a network.

use std::net::Ipv4Addr;

use protocol::lan::view::State;
use protocol::lan::{NodeId, PeerKey};
use protocol::{Body, Timestamp};
use uuid::Uuid;

use super::{Draft, Incoming, OpenError, Outgoing, Person, Store};

fn key(n: u32) -> PeerKey {
    PeerKey::Old(Ipv4Addr::from(0x0a00_0000 + n).into())
}

fn draft(n: u32, text: &str, state: State) -> Draft {
    Draft { peer: key(n), body: text.to_owned(), state, remark: None }
}

/// The thread of the one before may still be closing its file.
fn open_again(path: &std::path::Path) -> Store {
    loop {
        if let Ok(store) = Store::open(path) {
            return store;
        }
    }
}

#[tokio::test]
async fn what_was_said_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("peers.db");
    let store = Store::open(&path).unwrap();
    assert!(matches!(Store::open(&path), Err(OpenError::Taken)));
    store.keep(draft(1, "one", State::Received)).await.unwrap();
    store.keep(draft(1, "two", State::Sent)).await.unwrap();
    store.keep(draft(2, "three", State::Received)).await.unwrap();
    drop(store);
    let store = open_again(&path);
    assert_eq!(store.texts(10).await.unwrap(), ["one", "three"]);
    assert_eq!(store.texts(1).await.unwrap(), ["three"]);
    let said = store.history(key(1), i64::MAX, 10).await.unwrap();
    assert_eq!(
        said.iter().map(|e| (e.body.as_str(), e.state)).collect::<Vec<_>>(),
        [("one", State::Received), ("two", State::Sent)]
    );
    assert_eq!(store.history(key(1), said[1].row, 10).await.unwrap(), said[..1]);
}

#[tokio::test]
async fn a_long_conversation_loses_its_oldest_messages_and_many_peers_the_most_silent() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("peers.db")).unwrap();
    for n in 0..1200 {
        store.keep(draft(0, &n.to_string(), State::Received)).await.unwrap();
    }
    let kept = store.history(key(0), i64::MAX, 2000).await.unwrap();
    assert!((1000..1064).contains(&kept.len()) && kept.last().unwrap().body == "1199");
    let mut gone = Vec::new();
    for n in 1..=300 {
        store.keep(draft(n, "x", State::Received)).await.unwrap();
        let mut person = Person::new(key(n), Timestamp::now());
        if n == 1 {
            person.given = "printer".into();
        }
        gone.extend(store.keep_person(person).await.unwrap());
    }
    assert_eq!(gone, (2..=44).map(key).collect::<Vec<_>>());
    assert!(store.history(key(2), i64::MAX, 10).await.unwrap().is_empty());
    assert_eq!(store.people().await.unwrap().len(), 257);
}

fn body(text: &str) -> Body {
    Body::parse(text).unwrap()
}

fn incoming(messages: &[Outgoing]) -> Vec<Incoming> {
    let one = |m: &Outgoing| Incoming { seq: m.seq, id: m.id, sent: m.sent, body: m.body.clone() };
    messages.iter().map(one).collect()
}

const PEER: NodeId = NodeId::from_bytes([7; 32]);

#[tokio::test]
async fn what_waits_survives_a_restart_and_goes_once_it_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("peers.db");
    let store = Store::open(&path).unwrap();
    for text in ["one", "two", "three"] {
        store.enqueue(PEER, body(text)).await.unwrap();
    }
    let position = store.position(PEER).await.unwrap();
    assert_eq!((position.first, position.last), (1, 3));
    drop(store);
    let store = open_again(&path);
    assert_eq!(store.position(PEER).await.unwrap(), position);
    assert_eq!(store.acknowledged(PEER, position.stream + 1, 3).await.unwrap(), []);
    let delivered = store.acknowledged(PEER, position.stream, 2).await.unwrap();
    assert!(delivered.iter().all(|entry| entry.state == State::Delivered) && delivered.len() == 2);
    let left = store.waiting(PEER, 0, 10).await.unwrap();
    assert_eq!(left.iter().map(|m| m.seq).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn only_what_comes_next_is_taken_in_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) =
        (Store::open(&dir.path().join("a")).unwrap(), Store::open(&dir.path().join("b")).unwrap());
    for text in ["one", "two", "three"] {
        here.enqueue(PEER, body(text)).await.unwrap();
    }
    let position = here.position(PEER).await.unwrap();
    let all = incoming(&here.waiting(PEER, 0, 10).await.unwrap());
    assert_eq!(there.joined(PEER, position.stream, position.first).await.unwrap(), 0);
    let gap = there.take_in(PEER, position.stream, vec![all[1].clone()]).await.unwrap();
    assert_eq!((gap.seq, gap.entries.len()), (0, 0));
    let first = there.take_in(PEER, position.stream, all[..2].to_vec()).await.unwrap();
    assert_eq!((first.seq, first.entries.len()), (2, 2));
    let again = there.take_in(PEER, position.stream, all.clone()).await.unwrap();
    assert_eq!((again.seq, again.entries.len()), (3, 1));
    assert_eq!(there.texts(10).await.unwrap(), ["one", "two", "three"]);
    let end = Incoming { seq: u64::MAX, id: Uuid::nil(), sent: Timestamp::now(), body: body("x") };
    assert_eq!(there.take_in(PEER, position.stream, vec![end]).await.unwrap().seq, 3);
}

#[tokio::test]
async fn a_new_numbering_carries_on_with_what_still_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) =
        (Store::open(&dir.path().join("a")).unwrap(), Store::open(&dir.path().join("b")).unwrap());
    for text in ["one", "two"] {
        here.enqueue(PEER, body(text)).await.unwrap();
    }
    let before = here.position(PEER).await.unwrap();
    there.joined(PEER, before.stream, 1).await.unwrap();
    let all = incoming(&here.waiting(PEER, 0, 10).await.unwrap());
    there.take_in(PEER, before.stream, all).await.unwrap();
    let after = here.renumber(PEER).await.unwrap();
    assert_ne!(after.stream, before.stream);
    there.joined(PEER, after.stream, after.first).await.unwrap();
    let again = incoming(&here.waiting(PEER, 0, 10).await.unwrap());
    let taken = there.take_in(PEER, after.stream, again).await.unwrap();
    assert_eq!((taken.seq, taken.entries.len()), (2, 0), "what was there is not shown twice");
}
