//! A MongoDB database of version 1, as that version wrote it, which is migrated while it is used.

use std::collections::BTreeMap;

use bson::{Document, doc};
use message_api::store::Range;
use protocol::ConversationId;
use protocol::conversation::Kind;

use crate::bench::{Opened, dm, draft, name};
use crate::mongo::bench;
use crate::mongod::{Mongod, until};

/// An event, as far as it matters here.
#[derive(Debug, Clone)]
struct Said {
    conversation: ConversationId,
    seq: i64,
    at: i64,
    sender: String,
    body: String,
}

/// A database, and what is known of it.
struct Old {
    database: mongodb::Database,
    url: String,
    said: Vec<Said>,
    /// Of users and, with their names, of devices.
    cursors: BTreeMap<(String, ConversationId), i64>,
    random: u64,
}

impl Old {
    async fn new(mongod: &Mongod, name: &str) -> Self {
        let url = mongod.url(name);
        let database = mongodb::Client::with_uri_str(&url).await.unwrap().database(name);
        let (said, cursors) = (Vec::new(), BTreeMap::new());
        Self { database, url, said, cursors, random: 0x2545_f491_4f6c_dd1d }
    }

    fn collection(&self, name: &str) -> mongodb::Collection<Document> {
        self.database.collection(name)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    /// A conversation's log at these places, said by whomever.
    fn say(&mut self, one: &str, other: &str, places: impl Iterator<Item = i64>) {
        let conversation = dm(one, other);
        for seq in places {
            let sender = if self.below(3) == 0 { one } else { other };
            let at = 1_700_000_000_000_000 + i64::try_from(self.said.len()).unwrap();
            let body = format!("{conversation} {seq}");
            let sender = sender.to_owned();
            self.said.push(Said { conversation: conversation.clone(), seq, at, sender, body });
        }
    }

    fn see(&mut self, user: &str, other: &str, seq: i64) {
        self.cursors.insert((user.to_owned(), dm(user, other)), seq);
    }

    /// Puts it all where version 1 put it.
    async fn write(&self) {
        let index = |name: &str, keys: Document, unique: bool| {
            let options =
                mongodb::options::IndexOptions::builder().name(name.to_owned()).unique(unique).build();
            mongodb::IndexModel::builder().keys(keys).options(options).build()
        };
        let events = self.collection("events");
        let indexes = [
            index("log", doc! { "conversation": 1, "seq": -1 }, true),
            index("sent", doc! { "client_id": 1, "sender_key": 1 }, true),
            index("inbox", doc! { "destination_key": 1, "conversation": 1, "seq": -1 }, false),
            index("unseen", doc! { "destination_key": 1, "at": 1, "_id": 1 }, false),
        ];
        events.create_indexes(indexes).await.unwrap();
        self.collection("schema").insert_one(doc! { "_id": "version", "version": 1 }).await.unwrap();
        let mut members = BTreeMap::new();
        let document = |said: &Said| {
            let (conversation, sender) = (&said.conversation, said.sender.as_str());
            let receiver = conversation.dm_partner(&name(sender)).unwrap();
            doc! {
                "_id": bson::Uuid::new(), "conversation": conversation.as_str(), "seq": said.seq, "at": said.at,
                "sender": sender, "sender_key": sender, "destination": receiver, "destination_key": receiver,
                "client_id": said.at.to_string(), "body": &said.body, "type": "chat",
            }
        };
        for part in self.said.chunks(5000) {
            events.insert_many(part.iter().map(document)).await.unwrap();
        }
        for said in &self.said {
            let Kind::Dm(one, other) = said.conversation.kind() else { panic!("a room") };
            let both = if one == other { vec![one] } else { vec![one, other] };
            members.entry(said.conversation.as_str()).or_insert(both);
        }
        let conversations = members.iter().map(|(id, members)| doc! { "_id": *id, "members": members });
        self.collection("conversations").insert_many(conversations).await.unwrap();
        for ((user, conversation), seen) in &self.cursors {
            let at = self.said.iter().filter(|said| said.conversation == *conversation && said.seq <= *seen);
            let at = at.map(|said| said.at).max().unwrap_or(1);
            let cursor = doc! {
                "_id": format!("{user} {conversation}"), "user": user, "conversation": conversation.as_str(),
                "seen": *seen, "seen_at": at,
            };
            self.collection("cursors").insert_one(cursor).await.unwrap();
            let device = doc! {
                "_id": format!("{user} phone {conversation}"), "user": user, "device": "phone",
                "conversation": conversation.as_str(), "seen": *seen, "used": 1_i64,
            };
            self.collection("device_cursors").insert_one(device).await.unwrap();
        }
    }

    fn unseen(&self, user: &str) -> Vec<&Said> {
        let is_unseen = |said: &&Said| {
            let seen = self.cursors.get(&(user.to_owned(), said.conversation.clone())).copied().unwrap_or(0);
            said.conversation.dm_partner(&name(&said.sender)) == Some(user) && said.seq > seen
        };
        let mut unseen: Vec<&Said> = self.said.iter().filter(is_unseen).collect();
        unseen.sort_by_key(|said| said.at);
        unseen
    }

    /// What a store answers is what a count by hand says.
    async fn assert_same(&self, opened: &Opened, users: &[&str]) {
        for user in users {
            let expected = self.unseen(user);
            let mut counts: BTreeMap<&ConversationId, u64> = BTreeMap::new();
            expected.iter().for_each(|said| *counts.entry(&said.conversation).or_default() += 1);
            let summaries = opened.store.conversations(&name(user), 1000).await.unwrap();
            for summary in &summaries {
                let expected = counts.get(&summary.conversation).copied().unwrap_or(0);
                assert_eq!(summary.unseen, expected, "{user} in {}", summary.conversation);
            }
            let bodies: Vec<_> = expected.iter().map(|said| said.body.clone()).collect();
            assert_eq!(opened.unseen(user, 150).await, bodies, "{user}");
        }
    }

    async fn is_done(&self) -> bool {
        self.collection("schema").find_one(doc! { "_id": "numbered" }).await.unwrap().is_some()
    }

    /// Every event has the numbers that follow from its log, and nothing of the old form is left.
    async fn assert_numbered(&self) {
        let mut found = self.collection("events").find(doc! {}).sort(doc! { "at": 1 }).await.unwrap();
        let mut counted: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
        let mut events = 0;
        while found.advance().await.unwrap() {
            let event = found.deserialize_current().unwrap();
            let text = |field| event.get_str(field).unwrap().to_owned();
            let of = counted.entry(text("conversation")).or_default();
            let sent = of.entry(text("sender_key")).or_default();
            *sent += 1;
            assert_eq!(event.get_i64("sent").unwrap(), *sent, "{event}");
            assert_eq!(event.get_i64("ordinal").unwrap(), of.values().sum::<i64>(), "{event}");
            assert!(!event.contains_key("destination") && !event.contains_key("destination_key"), "{event}");
            events += 1;
        }
        assert!(events >= self.said.len());
        let indexes = self.collection("events").list_index_names().await.unwrap();
        for (index, there) in [("inbox", false), ("unseen", false), ("unread", true), ("log", true)] {
            assert_eq!(indexes.contains(&index.to_owned()), there, "{indexes:?}");
        }
        let uncounted = doc! { "incoming": { "$exists": false } };
        assert_eq!(self.collection("cursors").count_documents(uncounted).await.unwrap(), 0);
    }

    async fn numbered(&self, are: bool) -> u64 {
        let filter = doc! { "ordinal": { "$exists": are } };
        self.collection("events").count_documents(filter).await.unwrap()
    }
}

/// Notes, gaps, logs whose beginning was removed, cursors on events, in gaps, before the beginning and nowhere.
fn many_kinds(old: &mut Old) {
    old.say("alice", "bob", 1..=300);
    old.say("bob", "bob", 1..=20);
    old.say("bob", "carol", (1..=40).chain(61..=90));
    old.say("bob", "dave", 501..=560);
    old.say("bob", "erin", 101..=120);
    for n in 0..120 {
        let length = i64::try_from(old.below(6) + 1).unwrap();
        old.say("bob", &format!("friend{n}"), 1..=length);
        if n % 3 == 0 {
            old.see("bob", &format!("friend{n}"), length / 2 + 1);
        }
    }
    old.see("bob", "alice", 150);
    old.see("alice", "bob", 299);
    old.see("bob", "bob", 7);
    old.see("bob", "carol", 50);
    old.see("bob", "dave", 30);
    old.see("erin", "bob", 110);
}

const USERS: [&str; 6] = ["bob", "alice", "carol", "dave", "erin", "friend7"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_version_1_is_right_at_once_and_migrated_meanwhile() {
    let Some(mongod) = Mongod::start().await else { return };
    let mut old = Old::new(&mongod, "kinds").await;
    many_kinds(&mut old);
    old.write().await;
    let opened = bench(old.url.clone()).open().await;
    old.assert_same(&opened, &USERS).await;
    until("it is migrated", async || old.is_done().await).await;
    old.assert_numbered().await;
    old.assert_same(&opened, &USERS).await;
    let cursors = opened.store.cursors(&dm("bob", "carol")).await.unwrap();
    let devices = cursors.iter().map(|at| (at.device.as_ref().map(|device| device.as_str()), at.seq));
    assert_eq!(devices.collect::<Vec<_>>(), [(None, 50), (Some("phone"), 50)], "devices keep theirs");
    assert_eq!(opened.say("bob", "alice", "x").await.seq, 301);
    old.assert_numbered().await;
}

/// Nothing waits for the pass: what is asked first is numbered first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_moved_or_removed_before_the_pass_has_come_there_is_counted_right() {
    let Some(mongod) = Mongod::start().await else { return };
    for what in ["append", "see", "forget"] {
        let mut old = Old::new(&mongod, what).await;
        many_kinds(&mut old);
        old.write().await;
        let opened = bench(old.url.clone()).open().await;
        match what {
            "append" => {
                let stored = opened.say("alice", "bob", "new").await;
                assert_eq!(stored.seq, 301);
                let (conversation, sender) = (dm("alice", "bob"), "alice".to_owned());
                old.said.push(Said { conversation, seq: 301, at: i64::MAX, sender, body: "new".into() });
            }
            "see" => {
                opened.see("bob", "alice", 200).await;
                opened.see("bob", "carol", 55).await;
                old.see("bob", "alice", 200);
            }
            _ => {
                assert_eq!(opened.store.forget(&dm("bob", "alice"), 180).await.unwrap(), 180);
                old.said.retain(|said| said.conversation != dm("bob", "alice") || said.seq > 180);
            }
        }
        old.assert_same(&opened, &USERS).await;
        until("it is migrated", async || old.is_done().await).await;
        old.assert_same(&opened, &USERS).await;
        assert_eq!(old.numbered(false).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_may_be_cut_off_at_any_moment_and_done_by_several_at_once() {
    let Some(mongod) = Mongod::start().await else { return };
    for cut in [1, 9000, 20_000] {
        let mut old = Old::new(&mongod, &format!("cut{cut}")).await;
        // The last log is numbered first, and the others beside it.
        old.say("bob", "zoe", 1..=22_000);
        old.say("alice", "bob", 1..=9000);
        (0..500).for_each(|n| old.say("bob", &format!("friend{n}"), 1..=3));
        old.see("bob", "zoe", 12_345);
        old.write().await;
        let bench = bench(old.url.clone());
        let first = bench.open().await;
        until("some are numbered", async || old.numbered(true).await >= cut).await;
        drop(first);
        assert!(!old.is_done().await, "cut off after {cut}");
        let numbered = old.numbered(true).await;
        assert!(old.numbered(false).await > 0, "cut off after {cut}: {numbered} numbered");
        let both = [bench.open().await, bench.open().await];
        both[0].append((0..5).map(|n| draft("bob", "zoe", &n.to_string())).collect()).await;
        until("it is migrated", async || old.is_done().await).await;
        old.assert_numbered().await;
        let counts = both[1].store.conversations(&name("bob"), 1000).await.unwrap();
        let zoe = counts.iter().find(|summary| summary.conversation == dm("bob", "zoe")).unwrap();
        let expected = old.unseen("bob").iter().filter(|said| said.conversation == dm("bob", "zoe")).count();
        assert_eq!((zoe.head, zoe.unseen), (22_005, expected as u64));
        let last = both[1].store.events(&dm("bob", "zoe"), Range::Before(u64::MAX), 1).await.unwrap();
        assert_eq!(last.events[0].body.as_str(), "4");
    }
}
