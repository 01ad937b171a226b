//! The contract on MongoDB, and failures of a server. One server for all cases, a new database for each.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kit::Exit;
use message_api::StoreConfig;
use message_api::store::{self, Range, Unseen};
use protocol::Event;
use protocol::api::CursorMove;

use crate::bench::{Bench, Opened, Published, dm, draft, name};
use crate::contract;
use crate::mongod::Mongod;

pub(crate) fn bench(url: String) -> Bench {
    Bench { config: StoreConfig { url, ..StoreConfig::default() }, data: PathBuf::new() }
}

macro_rules! run_all {
    ($($case:ident)*) => {
        async fn run_all(mongod: &Mongod) {
            $(
                let name = stringify!($case);
                eprintln!("{name}");
                // A database's name has at most 63 bytes.
                contract::$case(&bench(mongod.url(&name[..name.len().min(60)]))).await;
            )*
        }
    };
}
contract::cases!(run_all);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_on_mongodb() {
    let Some(mongod) = Mongod::start().await else { return };
    run_all(&mongod).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_a_version_that_noted_no_skeletons_are_guarded_on_mongodb() {
    let Some(mongod) = Mongod::start().await else { return };
    let url = mongod.url("skeletons");
    let users = mongodb::Client::with_uri_str(&url).await.unwrap().database("skeletons");
    let users = users.collection::<bson::Document>("users");
    let user = |key: &str, name: &str, ordinal: i64| {
        bson::doc! { "_id": key, "name": name, "ordinal": ordinal, "first_seen": 1_i64, "last_seen": 1_i64 }
    };
    // More than are written with one command, including a document of another program.
    let mut all: Vec<bson::Document> =
        (0..1200).map(|n| user(&format!("user{n}"), &format!("User{n}"), n + 1)).collect();
    all.push(bson::doc! { "_id": "user5x", "colour": "red" });
    users.insert_many(all).await.unwrap();
    let opened = bench(url).open().await;
    for n in [1, 117, 1199] {
        let like = format!("user{n}").replace('1', "l");
        let found = opened.store.lookalike(&name(&like)).await.unwrap();
        assert_eq!(found, Some(name(&format!("user{n}"))), "{like}");
    }
    let foreign = users.find_one(bson::doc! { "_id": "user5x" }).await.unwrap().unwrap();
    assert_eq!(foreign, bson::doc! { "_id": "user5x", "colour": "red" }, "it is left as it is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let Some(mut mongod) = Mongod::start().await else { return };
    let bench = bench(mongod.url("killed"));
    let opened = bench.open().await;
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let opened = opened.clone();
            tokio::spawn(async move {
                let from = format!("writer{writer}");
                for n in 0..150 {
                    let message = draft(&from, "bob", &format!("{from} {n}"));
                    // The outbox of a real sender: the same draft until it is acknowledged.
                    while opened.store.append(vec![message.clone()]).await.is_err() {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            })
        })
        .collect();
    while opened.published.events().len() < 100 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    mongod.kill_and_restart();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut unseen = bench.open().await.unseen("bob", 200).await;
    let mut expected: Vec<_> =
        (0..4).flat_map(|writer| (0..150).map(move |n| format!("writer{writer} {n}"))).collect();
    unseen.sort();
    expected.sort();
    assert_eq!(unseen, expected, "each exactly once");
}

/// Writes `count` messages in each of four conversations, from all stores in turn, each until it is acknowledged.
async fn write_from_all(opened: &[Opened], count: usize) {
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let opened = opened.to_vec();
            tokio::spawn(async move {
                for n in 0..count {
                    let message = draft(&format!("writer{writer}"), "bob", &n.to_string());
                    while opened[n % opened.len()].store.append(vec![message.clone()]).await.is_err() {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

/// Whether these are the events of [`write_from_all`], each once and in order.
fn assert_whole(events: &[Event], count: usize) {
    assert_eq!(events.len(), 4 * count);
    for writer in 0..4 {
        let from = name(&format!("writer{writer}"));
        let own: Vec<_> = events.iter().filter(|event| event.sender == from).collect();
        assert!(own.iter().map(|event| event.seq).eq(1..=count as u64), "{from}: the order of the log");
        assert!(own.iter().enumerate().all(|(n, event)| event.body.to_string() == n.to_string()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_process_publishes_all_events_once_and_in_order() {
    let Some(mongod) = Mongod::start().await else { return };
    let bench = bench(mongod.url("feeds"));
    let before = bench.open().await;
    before.say("carol", "bob", "before the others came").await;
    let opened = [bench.open().await, bench.open().await, bench.open().await];
    write_from_all(&opened, 30).await;
    for each in &opened {
        assert_whole(&each.published.at_least(120).await, 30);
    }
    assert_eq!(before.published.at_least(121).await.len(), 121);
}

/// Another machine's clock is ten years ahead, or ours was set back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_ahead_dates_nothing_that_follows_and_changes_no_order() {
    let Some(mongod) = Mongod::start().await else { return };
    let bench = bench(mongod.url("clocks"));
    let opened = bench.open().await;
    opened.say("alice", "bob", "first").await;
    opened.published.at_least(1).await;
    let client = mongodb::Client::with_uri_str(mongod.url("clocks")).await.unwrap();
    let events = client.default_database().unwrap().collection::<bson::Document>("events");
    let mut theirs = events.find_one(bson::doc! {}).await.unwrap().unwrap();
    let ahead = theirs.get_i64("at").unwrap() + 315_360_000_000_000;
    theirs.extend(bson::doc! { "_id": bson::Uuid::new(), "seq": 2_i64, "client_id": "theirs", "at": ahead });
    theirs.extend(bson::doc! { "ordinal": 2_i64, "sent": 2_i64 });
    events.insert_one(theirs).await.unwrap();
    opened.published.at_least(2).await;
    let same = opened.say("bob", "alice", "same conversation").await;
    let other = opened.say("carol", "bob", "other conversation").await;
    assert_eq!(same.seq, 3);
    let soon = protocol::Timestamp::now().micros() + 3_600_000_000;
    assert!(same.at.micros() < soon && other.at.micros() < soon, "the next ones have their own time");
    assert_eq!(opened.unseen("bob", 1).await.len(), 3, "page by page, nothing is passed over");
    let page = opened.store.events(&same.conversation, Range::After(0), 10).await.unwrap();
    assert!(page.events.iter().map(|event| event.seq).eq(1..=3));
    assert_eq!(page.events[2].at, same.at, "what is read is what was answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_continues_after_the_server_was_killed() {
    let Some(mut mongod) = Mongod::start().await else { return };
    let bench = bench(mongod.url("resumed"));
    let opened = [bench.open().await, bench.open().await];
    let writing = tokio::spawn({
        let opened = opened.clone();
        async move { write_from_all(&opened, 60).await }
    });
    opened[0].published.at_least(50).await;
    mongod.kill_and_restart();
    writing.await.unwrap();
    for each in &opened {
        assert_whole(&each.published.at_least(240).await, 60);
        assert_eq!(each.published.restarts(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_cannot_go_on_says_so_and_begins_again() {
    let Some(mongod) = Mongod::start().await else { return };
    let bench = bench(mongod.url("lost"));
    let opened = bench.open().await;
    opened.say("alice", "bob", "one").await;
    opened.published.at_least(1).await;
    let client = mongodb::Client::with_uri_str(mongod.url("lost")).await.unwrap();
    client.default_database().unwrap().collection::<Event>("events").drop().await.unwrap();
    while opened.published.restarts() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    opened.say("alice", "carol", "two").await;
    let events = opened.published.at_least(2).await;
    assert_eq!(events[1].body.to_string(), "two");
}

/// Another process, whose clock is behind, stores an event just before it receives ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_holds_what_was_stored_since_the_page_before_and_lies_before_its_end() {
    let Some(mongod) = Mongod::start().await else { return };
    let bench = bench(mongod.url("late"));
    let opened = bench.open().await;
    opened.append(["one", "two"].map(|text| draft("carol", "bob", text)).into()).await;
    let bob = name("bob");
    let first = opened.store.unseen(&bob, None, 2).await.unwrap();
    assert_eq!(first.events.len(), 2);

    let client = mongodb::Client::with_uri_str(mongod.url("late")).await.unwrap();
    let events = client.default_database().unwrap().collection::<bson::Document>("events");
    let mut late = events.find_one(bson::doc! { "seq": 2 }).await.unwrap().unwrap();
    let before = late.get_i64("at").unwrap() - 1;
    late.extend(bson::doc! {
        "_id": bson::Uuid::new(), "conversation": dm("alice", "bob").as_str(), "seq": 1_i64, "at": before,
        "sender": "alice", "sender_key": "alice", "client_id": "late", "body": "late", "ordinal": 1_i64, "sent": 1_i64,
    });
    let members = bson::doc! { "_id": dm("alice", "bob").as_str(), "members": ["alice", "bob"] };
    client.default_database().unwrap().collection("conversations").insert_one(members).await.unwrap();
    events.insert_one(late).await.unwrap();
    opened.published.at_least(3).await;
    opened.say("alice", "bob", "next").await;

    let bodies = |page: &Unseen| page.events.iter().map(|e| e.body.to_string()).collect::<Vec<_>>();
    let second = opened.store.unseen(&bob, Some(&first.end), 2).await.unwrap();
    assert_eq!(bodies(&second), ["late", "next"], "nobody is shown the second before the first");
    let third = opened.store.unseen(&bob, Some(&second.end), 2).await.unwrap();
    assert_eq!((bodies(&third), third.more), (vec![], false), "and nothing twice");
    // It cannot know what the other process had delivered.
    let elsewhere = bench.open().await.store.unseen(&bob, Some(&first.end), 9).await.unwrap();
    assert_eq!(bodies(&elsewhere), ["one", "late", "two", "next"]);
}

/// Another process stores an event before what is already planned, which is shown before the page that it belongs to is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_holds_what_was_stored_since_its_plan_was_made() {
    let Some(mongod) = Mongod::start().await else { return };
    let opened = bench(mongod.url("planned")).open().await;
    let bodies = |page: &Unseen| page.events.iter().map(|e| e.body.to_string()).collect::<Vec<_>>();
    opened.append((1..=9).map(|n| draft("carol", "bob", &n.to_string())).collect()).await;
    let bob = name("bob");
    let first = opened.store.unseen(&bob, None, 2).await.unwrap();
    assert_eq!(bodies(&first), ["1", "2"]);
    let second = opened.store.unseen(&bob, Some(&first.end), 2).await.unwrap();
    assert_eq!(bodies(&second), ["3", "4"]);

    let client = mongodb::Client::with_uri_str(mongod.url("planned")).await.unwrap();
    let events = client.default_database().unwrap().collection::<bson::Document>("events");
    let mut late = events.find_one(bson::doc! { "seq": 6 }).await.unwrap().unwrap();
    late.extend(bson::doc! {
        "_id": bson::Uuid::from_bytes([255; 16]), "conversation": dm("alice", "bob").as_str(), "seq": 1_i64,
        "ordinal": 1_i64, "sent": 1_i64, "sender": "alice", "sender_key": "alice", "client_id": "late", "body": "late",
    });
    let members = bson::doc! { "_id": dm("alice", "bob").as_str(), "members": ["alice", "bob"] };
    client.default_database().unwrap().collection("conversations").insert_one(members).await.unwrap();
    events.insert_one(late).await.unwrap();
    opened.published.at_least(10).await;

    let third = opened.store.unseen(&bob, Some(&second.end), 2).await.unwrap();
    assert_eq!(bodies(&third), ["5", "6"]);
    let fourth = opened.store.unseen(&bob, Some(&third.end), 2).await.unwrap();
    assert_eq!(bodies(&fourth), ["late", "7", "8"], "the plan does not name it");
    let fifth = opened.store.unseen(&bob, Some(&fourth.end), 9).await.unwrap();
    assert_eq!((bodies(&fifth), fifth.more), (vec!["9".to_owned()], false), "and nothing twice");
}

/// Told by the server itself, which notes every command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_read_says_from_which_time_on_it_must_be() {
    let Some(mongod) = Mongod::start().await else { return };
    let opened = bench(mongod.url("profiled")).open().await;
    let said = opened.say("alice", "bob", "hello").await;
    opened.published.at_least(1).await;
    let client = mongodb::Client::with_uri_str(mongod.url("profiled")).await.unwrap();
    let database = client.default_database().unwrap();
    database.run_command(bson::doc! { "profile": 2 }).await.unwrap();
    assert_eq!(opened.unseen("bob", 10).await, ["hello"]);
    let page = opened.store.events(&said.conversation, Range::After(0), 10).await.unwrap();
    assert_eq!(page.events.len(), 1);
    assert_eq!(opened.store.conversations(&name("bob"), 10).await.unwrap()[0].unseen, 1);
    database.run_command(bson::doc! { "profile": 0 }).await.unwrap();
    let ours = bson::doc! {
        "appName": "p2p-chat message-api",
        "$or": [{ "command.find": { "$exists": true } }, { "command.aggregate": { "$exists": true } }],
    };
    let recorded = database.collection::<bson::Document>("system.profile").find(ours).await.unwrap();
    let recorded: Vec<_> = futures_util::TryStreamExt::try_collect(recorded).await.unwrap();
    // Of `unseen` the conversations, heads, cursors and events; of `events` the events; of `conversations` these, heads, cursors and the
    // last events.
    assert_eq!(recorded.len(), 4 + 1 + 4, "{recorded:#?}");
    for read in recorded {
        let concern = read.get_document("command").unwrap().get_document("readConcern").unwrap();
        assert_eq!(concern.get_str("level").unwrap(), "majority");
        assert!(concern.get_timestamp("afterClusterTime").is_ok(), "{read}");
    }
}

/// Each command waits for a majority, which takes some milliseconds over a network.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cursors_are_moved_with_a_few_commands() {
    let Some(mongod) = Mongod::start().await else { return };
    let opened = bench(mongod.url("moved")).open().await;
    let friends: Vec<_> = (0..1024).map(|n| format!("friend{n}")).collect();
    for some in friends.chunks(256) {
        opened.append(some.iter().map(|friend| draft(friend, "bob", "hi")).collect()).await;
    }
    let client = mongodb::Client::with_uri_str(mongod.url("moved")).await.unwrap();
    let database = client.default_database().unwrap();
    let commands = async || {
        let status = database.run_command(bson::doc! { "serverStatus": 1 }).await.unwrap();
        let all = status.get_document("metrics").unwrap().get_document("commands").unwrap();
        let count = |command: &str| all.get_document(command).unwrap().get_i64("total").unwrap();
        ["find", "aggregate", "update", "findAndModify", "insert"].map(count).iter().sum::<i64>()
    };
    let to = |friend: &String| CursorMove {
        user: name("bob"),
        device: None,
        conversation: dm("bob", friend),
        seq: 1,
    };
    let before = commands().await;
    opened.store.move_cursors(friends.iter().map(to).collect()).await.unwrap();
    let count = commands().await - before;
    // At most 256 of them with each, which are looked up before.
    assert!((1..=16).contains(&count), "{count} commands");
    assert!(opened.unseen("bob", 10).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_alone_tells_no_times_and_is_asked_for_none() {
    let Some(mongod) = Mongod::start_alone().await else { return };
    let opened = bench(mongod.url("alone")).open().await;
    let said = opened.append(vec![draft("alice", "bob", "one"), draft("alice", "bob", "two")]).await;
    opened.see("bob", "alice", 1).await;
    assert_eq!(opened.unseen("bob", 10).await, ["two"]);
    let page = opened.store.events(&said[0].conversation, Range::After(0), 10).await.unwrap();
    assert_eq!(page.events.len(), 2);
    assert_eq!(opened.store.conversations(&name("bob"), 10).await.unwrap()[0].unseen, 1);
    assert_eq!(opened.published.events().len(), 2);
}

#[tokio::test]
async fn server_failures_are_explained() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap();
    // Answers everything like a web server.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(
                &mut &stream,
                b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
            );
        }
    });
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, exit, says) in [
        (format!("mongodb://me:hunter2@{free}/x"), Exit::Unavailable, "is unreachable; is it running?"),
        (format!("mongodb://me:hunter2@{taken}/x"), Exit::Unavailable, "is not MongoDB"),
        ("mongodb://me:hunter2@no-such-host.invalid/x".to_owned(), Exit::Unavailable, "no such host"),
        ("mongodb://me:hunter2@h:99999/x".to_owned(), Exit::Config, "not a URL of MongoDB"),
    ] {
        let config = StoreConfig { url, ..StoreConfig::default() };
        let error =
            store::open(&config, &PathBuf::new(), Arc::new(Published::default()), store::no_progress())
                .await
                .err()
                .unwrap();
        let failure = error.into_failure();
        assert!(failure.to_string().contains(says), "{failure}");
        assert!(!failure.to_string().contains("hunter2"), "{failure}");
        assert_eq!(failure.exit(), exit, "{failure}");
    }
}
