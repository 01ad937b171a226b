//! Backups of and to either store.

use std::path::{Path, PathBuf};

use message_api::StoreConfig;
use message_api::archive;
use message_api::store::{Range, StatePut, StoreError};
use protocol::api::{BackupTotals, RegisterUser};
use protocol::{ConversationId, Event};
use serde_json::json;

use crate::bench::{Bench, Opened, dm, draft, name};
use crate::mongod::Mongod;

fn sqlite(directory: &Path) -> Bench {
    Bench { config: StoreConfig::default(), data: directory.to_owned() }
}

fn mongo(mongod: &Mongod, database: &str) -> Bench {
    let url = mongod.url(database);
    Bench { config: StoreConfig { url, ..StoreConfig::default() }, data: PathBuf::new() }
}

/// A store with read and unread messages in interleaved conversations.
async fn talk(opened: &Opened) {
    for (user, address) in [("Bob", Some("127.0.0.1:1")), ("alice", None)] {
        let user = RegisterUser { name: name(user), address: address.map(str::to_owned) };
        opened.store.register(user).await.unwrap();
    }
    for n in 0..40 {
        opened.append(vec![draft("alice", "Bob", &format!("a{n}"))]).await;
        opened.append(vec![draft("carol", "bob", &format!("c{n}")), draft("BOB", "carol", "x")]).await;
    }
    opened.see("bob", "alice", 30).await;
    opened.try_see("bob", "carol", 20, Some("phone")).await.unwrap();
    let put = StatePut::new(name("bot"), "k", Some(&json!({"z": 1, "a": [2]}))).unwrap();
    opened.store.put_state(put).await.unwrap();
}

async fn take(opened: &Opened, file: &Path) {
    let bytes = opened.backup().await;
    std::fs::write(file, bytes).unwrap();
}

/// Everything that can be read from a store with these conversations.
async fn contents(
    opened: &Opened,
) -> (Vec<String>, Vec<Vec<Event>>, Vec<String>, Vec<StatePut>, Vec<String>) {
    let store = &opened.store;
    let ids: Vec<ConversationId> = store.all_conversations(None, 100).await.unwrap();
    let (mut logs, mut cursors) = (Vec::new(), Vec::new());
    for id in &ids {
        logs.push(store.events(id, Range::After(0), 1000).await.unwrap().events);
        let mut its: Vec<_> = store.cursors(id).await.unwrap().iter().map(|c| format!("{c:?}")).collect();
        its.sort();
        cursors.extend(its);
    }
    let users = store.users(0, 1000).await.unwrap().users.iter().map(|user| format!("{user:?}")).collect();
    (users, logs, cursors, store.all_state(None, 100).await.unwrap(), opened.unseen("bob", 7).await)
}

async fn between(from: &Bench, to: &Bench) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("all.backup");
    let old = from.open().await;
    talk(&old).await;
    take(&old, &file).await;
    let totals = archive::verify(&file).unwrap();
    assert_eq!(totals, BackupTotals { users: 2, states: 1, conversations: 2, events: 120 });

    let new = to.open().await;
    let log = new.store.log().await.unwrap();
    assert_eq!(new.store.restore(file).await.unwrap().totals, totals);
    assert_eq!(contents(&new).await, contents(&old).await);
    let restored = new.store.log().await.unwrap();
    assert!(restored != log && restored != old.store.log().await.unwrap(), "its log has a name of its own");
    assert_eq!((new.published.restarts(), new.published.events().len()), (1, 0), "it is nobody's news");
    assert_eq!(new.say("alice", "bob", "after").await.seq, 41);
    assert_eq!(new.published.at_least(1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_either_store_can_be_restored_into_either() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    between(&sqlite(directories[0].path()), &sqlite(directories[1].path())).await;
    let Some(mongod) = Mongod::start().await else { return };
    between(&mongo(&mongod, "m1"), &mongo(&mongod, "m2")).await;
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    between(&sqlite(directories[0].path()), &mongo(&mongod, "m3")).await;
    between(&mongo(&mongod, "m4"), &sqlite(directories[1].path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_replaces_the_content_and_keeps_a_copy() {
    let directory = tempfile::tempdir().unwrap();
    let (bench, file) = (sqlite(directory.path()), directory.path().join("b"));
    let opened = bench.open().await;
    talk(&opened).await;
    take(&opened, &file).await;
    let mut before = contents(&opened).await;
    opened.say("eve", "bob", "later").await;
    assert_eq!(opened.say("alice", "bob", "later").await.seq, 41);
    opened.store.restore(file).await.unwrap();
    // The conversation is remembered without its messages: its numbers were assigned.
    before.1.push(Vec::new());
    assert_eq!(contents(&opened).await, before);
    assert_eq!(contents(&bench.open().await).await, before, "whoever opens it finds the same");
    let names = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let kept: Vec<_> = names.filter(|name| name.to_string_lossy().contains("before-restore")).collect();
    let url = format!("sqlite:{}", kept[0].to_string_lossy());
    let config = StoreConfig { url, ..StoreConfig::default() };
    let kept = Bench { config, data: directory.path().to_owned() }.open().await;
    assert_eq!(kept.store.events(&dm("bob", "eve"), Range::After(0), 9).await.unwrap().events.len(), 1);
    assert_eq!(
        opened.say("alice", "bob", "new").await.seq,
        42,
        "clients have seen 41 and would take it for old"
    );
    assert_eq!(opened.say("eve", "bob", "new").await.seq, 2);
}

async fn refused(opened: &Opened, file: &Path) {
    let error = opened.store.restore(file.to_owned()).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert_eq!(opened.unseen("bob", 9).await, ["mine"], "nothing has changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_backup_changes_nothing() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let file = directories[0].path().join("b");
    let old = sqlite(directories[0].path()).open().await;
    talk(&old).await;
    take(&old, &file).await;
    let whole = std::fs::read(&file).unwrap();
    let opened = sqlite(directories[1].path()).open().await;
    opened.say("alice", "bob", "mine").await;
    for at in [10, whole.len() / 2, whole.len() - 5] {
        std::fs::write(&file, &whole[..at]).unwrap();
        refused(&opened, &file).await;
        let mut changed = whole.clone();
        changed[at] ^= 4;
        std::fs::write(&file, changed).unwrap();
        refused(&opened, &file).await;
    }
    refused(&opened, &directories[1].path().join("none")).await;
    std::fs::write(&file, &whole).unwrap();
    let Some(mongod) = Mongod::start().await else { return };
    let opened = mongo(&mongod, "full").open().await;
    opened.say("alice", "bob", "mine").await;
    refused(&opened, &file).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_is_complete_while_messages_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let bench = sqlite(directory.path());
    let opened = bench.open().await;
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let opened = opened.clone();
            tokio::spawn(async move {
                for n in 0..100 {
                    opened.append(vec![draft(&format!("w{writer}"), "bob", &n.to_string())]).await;
                }
            })
        })
        .collect();
    let file = directory.path().join("b");
    for _ in 0..5 {
        take(&opened, &file).await;
        archive::verify(&file).unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

/// The conversation of the launcher's probe with itself, whose beginning was deleted.
pub(crate) async fn talk_as_probe(opened: &Opened) {
    let probe = || draft("p2p-probe", "p2p-probe", "probe");
    opened.append((0..150).map(|_| probe()).collect()).await;
    assert_eq!(opened.store.delete_up_to(&dm("p2p-probe", "p2p-probe"), 100).await.unwrap(), 100);
}

/// The rest of it is there, and its numbering continues.
pub(crate) async fn assert_probe_goes_on(opened: &Opened) {
    let probe = dm("p2p-probe", "p2p-probe");
    let kept = opened.store.events(&probe, Range::After(0), 200).await.unwrap().events;
    let seqs: Vec<u64> = kept.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (101..=150).collect::<Vec<_>>());
    assert_eq!(opened.say("p2p-probe", "p2p-probe", "probe").await.seq, 151);
}

async fn between_with_probe(from: &Bench, to: &Bench) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let old = from.open().await;
    talk_as_probe(&old).await;
    take(&old, file.path()).await;
    let new = to.open().await;
    new.store.restore(file.path().to_owned()).await.unwrap();
    assert_probe_goes_on(&new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_of_the_probe_whose_beginning_is_gone_is_restored_and_goes_on() {
    let directories = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [first, second, third] = directories.each_ref().map(|directory| sqlite(directory.path()));
    between_with_probe(&first, &second).await;
    // Also over existing content: the probe's log is longer than in the backup.
    let opened = second.open().await;
    let file = directories[0].path().join("b");
    take(&opened, &file).await;
    opened.say("p2p-probe", "p2p-probe", "probe").await;
    opened.store.restore(file).await.unwrap();
    assert_eq!(opened.say("p2p-probe", "p2p-probe", "probe").await.seq, 153, "no place is given away twice");
    let Some(mongod) = Mongod::start().await else { return };
    between_with_probe(&third, &mongo(&mongod, "probe")).await;
}

/// As written by the program of schema version 3: names as they were typed, the recipient's with each message, and a conversation whose
/// beginning was deleted.
const VERSION_3: &[u8] = include_bytes!("../versions/3.backup");

async fn restore_version_3(bench: &Bench) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("old.backup");
    std::fs::write(&file, VERSION_3).unwrap();
    let opened = bench.open().await;
    let restored = opened.store.restore(file).await.unwrap();
    assert_eq!(restored.totals, BackupTotals { users: 3, states: 1, conversations: 3, events: 39 });
    // The totals as reported by that program.
    for (user, other, head, seen, unseen) in [
        ("bob", "bob", 4, 0, 4),
        ("bob", "alice", 32, 17, 11),
        ("bob", "carol", 12, 4, 8),
        ("alice", "bob", 32, 30, 1),
        ("carol", "bob", 12, 0, 0),
    ] {
        let all = opened.store.conversations(&name(user), 9).await.unwrap();
        let told = all.iter().find(|of| of.conversation == dm(user, other)).unwrap();
        assert_eq!((told.head, told.seen, told.unseen), (head, seen, unseen), "{user} with {other}");
    }
    let unseen = opened.unseen("bob", 4).await;
    assert_eq!((unseen.len(), unseen[0].as_str(), unseen[22].as_str()), (23, "note 6", "note 24"));
    let first = opened.store.events(&dm("alice", "bob"), Range::After(0), 1).await.unwrap().events.remove(0);
    assert_eq!((first.seq, first.sender.as_str(), first.body.as_str()), (10, "alice", "a8"));
    opened.see("bob", "alice", 32).await;
    assert_eq!(opened.unseen("bob", 50).await.len(), 12);
    assert_eq!(opened.say("Alice", "bob", "on").await.seq, 33);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_store_of_version_3_can_be_restored_into_either() {
    let directory = tempfile::tempdir().unwrap();
    restore_version_3(&sqlite(directory.path())).await;
    let Some(mongod) = Mongod::start().await else { return };
    restore_version_3(&mongo(&mongod, "version3")).await;
}
