//! From a SQLite file to MongoDB.

use std::collections::BTreeMap;
use std::path::Path;

use message_api::StoreConfig;
use message_api::migrate::{MigrateError, Migrated, migrate};
use message_api::store::{Range, StatePut};
use protocol::api::RegisterUser;
use rusqlite::Connection;

use crate::backup::talk_as_probe;
use crate::bench::{Bench, Opened, dm, draft, name};
use crate::migration::make_version_3;
use crate::mongod::Mongod;

async fn run(to: &str, data: &Path) -> Result<Migrated, MigrateError> {
    migrate("sqlite:chat.db", to, data, &mut |_| {}).await
}

/// 30 conversations with 40 messages each.
async fn talk(opened: &Opened, round: usize) {
    for from in 0..30 {
        let drafts = (0..40).map(|n| draft(&format!("u{from}"), "Bob", &format!("{round} {n}")));
        opened.append(drafts.collect()).await;
    }
}

async fn assert_same(old: &Opened, new: &Opened) {
    for id in old.store.all_conversations(None, 100).await.unwrap() {
        let events = old.store.events(&id, Range::After(0), 1000).await.unwrap();
        assert_eq!(new.store.events(&id, Range::After(0), 1000).await.unwrap(), events);
    }
    assert_eq!(new.unseen("bob", 200).await.len(), old.unseen("bob", 200).await.len());
    assert_eq!(new.store.users(0, 1000).await.unwrap().users, old.store.users(0, 1000).await.unwrap().users);
    let state = old.store.all_state(None, 100).await.unwrap();
    assert_eq!(new.store.all_state(None, 100).await.unwrap(), state);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_once_however_often_it_is_cut_off_and_done_again() {
    let Some(mongod) = Mongod::start().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let (data, to) = (directory.path(), mongod.url("migrated"));
    let old = Bench { config: StoreConfig::default(), data: data.to_owned() }.open().await;
    talk(&old, 1).await;
    for user in ["Bob", "alice"] {
        old.store.register(RegisterUser { name: name(user), address: None }).await.unwrap();
    }
    let put = StatePut::new(name("bot"), "k", Some(&serde_json::json!([1]))).unwrap();
    old.store.put_state(put).await.unwrap();
    old.see("bob", "u3", 25).await;

    let new =
        Bench { config: StoreConfig { url: to.clone(), ..StoreConfig::default() }, data: data.to_owned() };
    let new = new.open().await;
    let cut_off = tokio::spawn({
        let (to, data) = (to.clone(), data.to_owned());
        async move { run(&to, &data).await }
    });
    while new.store.all_conversations(None, 100).await.unwrap().len() < 10 {
        tokio::task::yield_now().await;
    }
    cut_off.abort();
    assert!(cut_off.await.unwrap_err().is_cancelled());

    let writing = tokio::spawn({
        let old = old.clone();
        async move { talk(&old, 2).await }
    });
    let first = run(&to, data).await.unwrap();
    assert!(first.copied < 2400, "{first:?} goes on where it was");
    writing.await.unwrap();
    old.see("bob", "u3", 60).await;
    run(&to, data).await.unwrap();
    let last = run(&to, data).await.unwrap();
    assert_eq!(last, Migrated { copied: 0, conversations: 30, events: 2400 });
    assert_same(&old, &new).await;
    assert_eq!(new.published.events(), [], "it is nobody's news");
    assert_eq!(new.say("u3", "bob", "on").await.seq, 81);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_and_restored_logs_continue_and_no_seq_is_assigned_twice() {
    let Some(mongod) = Mongod::start().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let (data, to) = (directory.path(), mongod.url("holes"));
    let old = Bench { config: StoreConfig::default(), data: data.to_owned() }.open().await;
    let say = async |from: &str, count| {
        old.append((0..count).map(|n| draft(from, "bob", &n.to_string())).collect()).await;
    };
    say("alice", 5).await;
    let backup = data.join("backup");
    std::fs::write(&backup, old.backup().await).unwrap();
    say("alice", 2).await;
    say("eve", 1).await;
    old.store.restore(backup).await.unwrap();
    say("carol", 3).await;
    assert_eq!(run(&to, data).await.unwrap().copied, 8);
    say("carol", 3).await;
    assert_eq!(old.store.delete_up_to(&dm("carol", "bob"), 5).await.unwrap(), 5);
    assert_eq!(run(&to, data).await.unwrap().copied, 1);

    let config = StoreConfig { url: to.clone(), ..StoreConfig::default() };
    let new = Bench { config, data: data.to_owned() }.open().await;
    let events = new.store.events(&dm("carol", "bob"), Range::After(0), 9).await.unwrap().events;
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 6]);
    for (from, seq) in [("alice", 8), ("eve", 2), ("carol", 7)] {
        assert_eq!(new.say(from, "bob", "on").await.seq, seq, "{from}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_holds_something_else_is_left_alone() {
    let Some(mongod) = Mongod::start().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let (data, to) = (directory.path(), mongod.url("apart"));
    assert!(matches!(run(&to, data).await, Err(MigrateError::NoFile(_))));
    let backwards = migrate(&to, "sqlite:chat.db", data, &mut |_| {}).await;
    assert!(matches!(backwards, Err(MigrateError::Direction)));
    let old = Bench { config: StoreConfig::default(), data: data.to_owned() }.open().await;
    old.say("alice", "bob", "here").await;
    let new =
        Bench { config: StoreConfig { url: to.clone(), ..StoreConfig::default() }, data: data.to_owned() };
    let new = new.open().await;
    new.say("alice", "bob", "there").await;
    let error = run(&to, data).await.unwrap_err();
    assert!(matches!(error, MigrateError::Diverged(ref id) if *id == dm("alice", "bob")), "{error}");
    assert_eq!(new.unseen("bob", 9).await, ["there"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_of_the_probe_whose_beginning_is_gone_moves_and_goes_on() {
    let Some(mongod) = Mongod::start().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let (data, to) = (directory.path(), mongod.url("probe"));
    let old = Bench { config: StoreConfig::default(), data: data.to_owned() }.open().await;
    talk_as_probe(&old).await;
    assert_eq!(run(&to, data).await.unwrap(), Migrated { copied: 50, conversations: 1, events: 50 });
    // The launcher's probe continues meanwhile, and more is deleted.
    old.say("p2p-probe", "p2p-probe", "probe").await;
    old.store.delete_up_to(&dm("p2p-probe", "p2p-probe"), 120).await.unwrap();
    assert_eq!(run(&to, data).await.unwrap().copied, 1);
    let new = Bench { config: StoreConfig { url: to, ..StoreConfig::default() }, data: data.to_owned() };
    assert_eq!(new.open().await.say("p2p-probe", "p2p-probe", "probe").await.seq, 152);
}

/// The number of unread messages of each user in each conversation, counted one by one in a file of version 3.
fn counts_of_version_3(file: &Path) -> BTreeMap<(String, String), u64> {
    let connection = Connection::open(file).unwrap();
    let mut counts = connection
        .prepare(
            "SELECT u.key, c.key, (SELECT count(*) FROM events AS e
                WHERE e.conversation = m.conversation AND e.recipient = m.user AND e.seq > m.seen)
             FROM members AS m JOIN users AS u ON u.id = m.user JOIN conversations AS c ON c.id = m.conversation
             WHERE EXISTS (SELECT 1 FROM events WHERE conversation = m.conversation)",
        )
        .unwrap();
    let counts = counts.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).unwrap();
    counts.collect::<Result<_, _>>().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_version_3_moves_with_all_that_was_seen_of_it() {
    let Some(mongod) = Mongod::start().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let (data, to) = (directory.path(), mongod.url("version3"));
    make_version_3(&data.join("chat.db"), 20, 3000);
    let migrated = run(&to, data).await.unwrap();
    assert_eq!((migrated.copied, migrated.events), (3000, 3000));
    let expected = counts_of_version_3(&data.join("chat.db.v3.bak"));
    let old = Bench { config: StoreConfig::default(), data: data.to_owned() }.open().await;
    let new = Bench { config: StoreConfig { url: to, ..StoreConfig::default() }, data: data.to_owned() };
    let new = new.open().await;
    for id in old.store.all_conversations(None, 1000).await.unwrap() {
        let events = old.store.events(&id, Range::After(0), 1000).await.unwrap();
        assert_eq!(new.store.events(&id, Range::After(0), 1000).await.unwrap(), events);
    }
    let mut found = BTreeMap::new();
    for user in (1..=20).map(|n| format!("user{n:05}")) {
        for of in new.store.conversations(&name(&user), 100).await.unwrap() {
            found.insert((user.clone(), of.conversation.as_str().to_owned()), of.unseen);
        }
        assert_eq!(new.unseen(&user, 50).await, old.unseen(&user, 50).await);
    }
    assert_eq!(found, expected);
    assert!(found.values().sum::<u64>() > 500);
    let (first, second) = ("user00001", "user00002");
    let head = old.say(first, second, "on").await.seq;
    assert_eq!(new.say(first, second, "on").await.seq, head);
}
