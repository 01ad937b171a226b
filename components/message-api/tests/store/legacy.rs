//! An older program's messages in its own collection of the same database.

use bson::{Document, doc};
use message_api::store::mongo::{MongoStore, legacy_waiting};

use crate::bench::name;
use crate::mongo::bench;
use crate::mongod::{Mongod, until};

async fn collection(url: &str, name: &str) -> mongodb::Collection<Document> {
    let client = mongodb::Client::with_uri_str(url).await.unwrap();
    client.default_database().unwrap().collection(name)
}

/// `count` messages from alice to bob and back, the first half of which was read, as the older program wrote them.
fn messages(count: i32) -> Vec<Document> {
    let message = |n: i32| {
        let (from, to) = if n % 2 == 0 { ("alice", "bob") } else { ("bob", "alice") };
        let mut message = doc! {
            "sender": from, "destination": to, "message": n.to_string(), "type": "chat", "metadata": {},
            "timestamp": "2025-11-20T23:21:22.277391",
        };
        if n < count / 2 {
            message.insert("seen", true);
        }
        message
    };
    (0..count).map(message).collect()
}

fn unread(count: i32, parity: i32) -> Vec<String> {
    (count / 2..count).filter(|n| n % 2 == parity).map(|n| n.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_messages_stay_unread_and_nothing_is_delivered_twice() {
    let Some(mongod) = Mongod::start().await else { return };
    let url = mongod.url("legacy");
    let old = collection(&url, "messages").await;
    old.insert_many(messages(40)).await.unwrap();
    old.insert_many([
        doc! { "sender": "a b", "destination": "bob", "message": "from nobody" },
        doc! { "sender": "alice", "destination": "bob", "message": "x".repeat(20_000) },
    ])
    .await
    .unwrap();
    assert_eq!(legacy_waiting(&url).await.unwrap(), Some(42));

    let bench = bench(url.clone());
    let opened = bench.open().await;
    assert_eq!(opened.unseen("bob", 7).await, unread(40, 0));
    assert_eq!(opened.unseen("alice", 7).await, unread(40, 1));
    let page = opened.store.unseen(&name("bob"), None, 1).await.unwrap();
    assert_eq!(page.events[0].timestamp.to_string(), "2025-11-20T23:21:22.277391+00:00");
    assert!(opened.published.events().is_empty(), "it is nobody's news");
    assert_eq!(legacy_waiting(&url).await.unwrap(), None);
    opened.see("bob", "alice", 40).await;

    old.insert_one(doc! { "sender": "carol", "destination": "bob", "message": "later" }).await.unwrap();
    assert!(bench.open().await.unseen("bob", 7).await.is_empty(), "once, by itself");
    let legacy = MongoStore::import_legacy(&url).await.unwrap();
    assert_eq!((legacy.seen, legacy.unread, legacy.before), (20, 21, 40));
    assert_eq!(legacy.skipped.values().sum::<u64>(), 2, "{legacy}");
    assert_eq!(opened.unseen("bob", 7).await, ["later"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_over_may_be_cut_off_at_any_moment() {
    let Some(mongod) = Mongod::start().await else { return };
    for cut in [1, 150, 500, 900] {
        let url = mongod.url(&format!("cut{cut}"));
        collection(&url, "messages").await.insert_many(messages(1000)).await.unwrap();
        let events = collection(&url, "events").await;
        let first = tokio::spawn({
            let url = url.clone();
            async move { MongoStore::import_legacy(&url).await.map(drop) }
        });
        until("some are taken over", async || {
            events.estimated_document_count().await.unwrap() >= cut || first.is_finished()
        })
        .await;
        first.abort();
        let _ = first.await;
        let opened = bench(url).open().await;
        assert_eq!(opened.unseen("bob", 100).await, unread(1000, 0), "cut off after {cut}");
        assert_eq!(opened.unseen("alice", 100).await, unread(1000, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unread_already_is_not_marked_as_read_by_older_messages() {
    let Some(mongod) = Mongod::start().await else { return };
    let url = mongod.url("beside");
    let opened = bench(url.clone()).open().await;
    opened.say("alice", "bob", "ours").await;
    collection(&url, "messages").await.insert_many(messages(4)).await.unwrap();
    MongoStore::import_legacy(&url).await.unwrap();
    assert_eq!(opened.unseen("bob", 9).await, ["ours", "0", "2"], "rather shown again than lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_of_other_programs_are_left_out() {
    let Some(mongod) = Mongod::start().await else { return };
    let url = mongod.url("foreign");
    let opened = bench(url.clone()).open().await;
    opened.say("alice", "bob", "hi").await;
    let register = protocol::api::RegisterUser { name: name("alice"), address: None };
    opened.store.register(register).await.unwrap();
    for of in ["users", "conversations", "cursors", "device_cursors", "state", "counters"] {
        let foreign = doc! { "_id": "aaa", "email": "x@example.org", "conversation": "dm:alice:bob" };
        collection(&url, of).await.insert_one(foreign).await.unwrap();
    }
    let users = opened.store.users(0, 100).await.unwrap();
    assert_eq!(users.users.len(), 1);
    assert_eq!(opened.unseen("bob", 9).await, ["hi"]);
    assert_eq!(opened.store.all_conversations(None, 1).await.unwrap().len(), 1);
    assert!(!opened.backup().await.is_empty());
}
