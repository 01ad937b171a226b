//! The store, without a network.

use std::net::Ipv4Addr;

use protocol::Timestamp;
use protocol::lan::PeerKey;
use protocol::lan::view::State;

use super::{Draft, OpenError, Person, Store};

fn key(n: u32) -> PeerKey {
    PeerKey::Old(Ipv4Addr::from(0x0a00_0000 + n).into())
}

fn draft(n: u32, text: &str, state: State) -> Draft {
    Draft { peer: key(n), body: text.to_owned(), state, remark: None }
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
    let store = loop {
        // The thread of the first one may still be closing its file.
        if let Ok(store) = Store::open(&path) {
            break store;
        }
    };
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
