//! The store, without a network.

use std::net::Ipv4Addr;

use protocol::lan::view::State;
use protocol::lan::{NodeId, PeerKey};
use protocol::{Body, Timestamp};
use uuid::Uuid;

use super::{DEFAULT_MIB, Draft, Incoming, OpenError, Outgoing, Person, Quota, Store, StoreError};

fn key(n: u32) -> PeerKey {
    PeerKey::Legacy(Ipv4Addr::from(0x0a00_0000 + n).into())
}

fn draft(n: u32, text: &str, state: State) -> Draft {
    Draft { peer: key(n), body: text.to_owned(), state, remark: None }
}

fn open(path: &std::path::Path) -> Result<Store, OpenError> {
    Store::open(path, Quota::new(DEFAULT_MIB))
}

/// The previous thread may still be closing the file.
fn open_again(path: &std::path::Path) -> Store {
    loop {
        if let Ok(store) = open(path) {
            return store;
        }
    }
}

#[tokio::test]
async fn messages_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("peers.db");
    let store = open(&path).unwrap();
    assert!(matches!(open(&path), Err(OpenError::Taken)));
    store.insert_message(draft(1, "one", State::Received)).await.unwrap();
    store.insert_message(draft(1, "two", State::Sent)).await.unwrap();
    store.insert_message(draft(2, "three", State::Received)).await.unwrap();
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
    let store = open(&dir.path().join("peers.db")).unwrap();
    for n in 0..1200 {
        store.insert_message(draft(0, &n.to_string(), State::Received)).await.unwrap();
    }
    let kept = store.history(key(0), i64::MAX, 2000).await.unwrap();
    assert!((1000..1064).contains(&kept.len()) && kept.last().unwrap().body == "1199");
    let mut gone = Vec::new();
    for n in 1..=300 {
        store.insert_message(draft(n, "x", State::Received)).await.unwrap();
        let mut person = Person::new(key(n), Timestamp::now());
        if n == 1 {
            person.given = "printer".into();
        }
        gone.extend(store.save_person(person).await.unwrap());
    }
    assert_eq!(gone, [0].into_iter().chain(2..=44).map(key).collect::<Vec<_>>());
    assert_eq!(
        store.quota.dropped().get(),
        u64::try_from(kept.len() + 43).unwrap(),
        "what they said went, too"
    );
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
    let store = open(&path).unwrap();
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
    let (here, there) = (open(&dir.path().join("a")).unwrap(), open(&dir.path().join("b")).unwrap());
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
    let (here, there) = (open(&dir.path().join("a")).unwrap(), open(&dir.path().join("b")).unwrap());
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

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

/// Sends `count` messages of 16 KiB from a node.
async fn flood(store: &Store, from: NodeId, after: u64, count: u64) {
    let text = "x".repeat(16 * 1024);
    let one = |seq| Incoming { seq, id: Uuid::now_v7(), sent: Timestamp::now(), body: body(&text) };
    let batch: Vec<Incoming> = (after + 1..=after + count).map(one).collect();
    let taken = store.take_in(from, 7, batch).await.unwrap();
    assert_eq!(taken.seq, after + count);
}

#[tokio::test]
async fn strangers_cannot_displace_known_peers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("peers.db");
    let store = open(&path).unwrap();
    // The user wrote to this one; another stranger sent one word.
    store.enqueue(node(1), body("hello")).await.unwrap();
    store.joined(node(1), 7, 1).await.unwrap();
    flood(&store, node(1), 0, 64).await;
    flood(&store, node(1), 64, 64).await;
    flood(&store, node(1), 128, 64).await;
    store.joined(node(2), 7, 1).await.unwrap();
    let word = Incoming { seq: 1, id: Uuid::now_v7(), sent: Timestamp::now(), body: body("a word") };
    store.take_in(node(2), 7, vec![word]).await.unwrap();
    let before = store.quota.dropped().get();
    for n in 3..43 {
        store.joined(node(n), 7, 1).await.unwrap();
        flood(&store, node(n), 0, 64).await;
        flood(&store, node(n), 64, 64).await;
    }
    let size = std::fs::metadata(&path).unwrap().len();
    assert!(size < 92 << 20, "{size} bytes for 80 MiB of strangers and 3 MiB of others");
    assert!(store.quota.dropped().get() > before);
    let of = async |n| store.history(PeerKey::Node(node(n)), i64::MAX, 2000).await.unwrap();
    assert_eq!(of(1).await.len(), 193, "who is known loses nothing");
    assert_eq!(of(2).await.len(), 1, "nor does a stranger that said little");
    flood(&store, node(3), 128, 64).await;
    assert!(of(3).await.len() <= 128, "and one that floods has its own room only");
    store.enqueue(node(1), body("still here")).await.unwrap();
}

#[tokio::test]
async fn a_flood_of_keys_displaces_only_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("peers.db")).unwrap();
    let person = |n: u32, ip: [u8; 4]| {
        let mut id = [9; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let key = PeerKey::Node(NodeId::from_bytes(id));
        Person { addresses: vec![(ip, 47600).into()], ..Person::new(key, Timestamp::from_micros(n.into())) }
    };
    for n in 0..4 {
        store.save_person(person(n, [10, 0, 0, u8::try_from(n).unwrap() + 1])).await.unwrap();
    }
    let mut gone = Vec::new();
    for n in 4..400 {
        gone.extend(store.save_person(person(n, [10, 0, 0, 99])).await.unwrap());
    }
    assert_eq!(store.people().await.unwrap().len(), 256);
    assert_eq!(gone, (4..148).map(|n| person(n, [0; 4]).key).collect::<Vec<_>>());
}

#[tokio::test]
async fn damaged_rows_are_left_out_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("peers.db");
    let store = open(&path).unwrap();
    for text in ["one", "two", "three", "four"] {
        store.enqueue(PEER, body(text)).await.unwrap();
    }
    store.insert_message(draft(1, "came", State::Received)).await.unwrap();
    store.insert_message(draft(1, "spoilt", State::Received)).await.unwrap();
    let before = store.position(PEER).await.unwrap();
    let other = PeerKey::Node(NodeId::from_bytes([8; 32])).to_string();
    store
        .call(move |connection| {
            connection.execute_batch(&format!(
                "UPDATE messages SET id = 'no id' WHERE body = 'two';
                 UPDATE messages SET body = CAST(x'ff' AS TEXT) WHERE body IN ('three', 'spoilt');
                 INSERT INTO peers(key, trust) VALUES ('nobody', 'new'), ('{other}', CAST(x'ff' AS TEXT));"
            ))?;
            Ok(())
        })
        .await
        .unwrap();
    let damaged = store.waiting(PEER, 0, 10).await;
    assert!(matches!(damaged, Err(StoreError::Damaged(2))), "{damaged:?}");
    let left = store.waiting(PEER, 0, 10).await.unwrap();
    let left: Vec<(u64, &str)> = left.iter().map(|m| (m.seq, m.body.as_str())).collect();
    assert_eq!(left, [(1, "one"), (2, "four")], "without a gap, in a new numbering");
    assert_ne!(store.position(PEER).await.unwrap().stream, before.stream);
    assert_eq!(store.texts(10).await.unwrap(), ["came"]);
    assert_eq!(store.history(key(1), i64::MAX, 10).await.unwrap().len(), 1);
    let said = store.history(PeerKey::Node(PEER), i64::MAX, 10).await.unwrap();
    let states: Vec<State> = said.iter().map(|entry| entry.state).collect();
    assert_eq!(states, [State::Queued, State::Failed, State::Queued]);
    let known: Vec<PeerKey> = store.people().await.unwrap().into_iter().map(|person| person.key).collect();
    assert_eq!(known.len(), 2, "{known:?}");
    assert!(store.damage.counter().get() >= 6);
    drop(store);
    open_again(&path);
}
