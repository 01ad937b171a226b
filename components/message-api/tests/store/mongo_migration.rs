//! A MongoDB database as version 1 wrote it, which is migrated while in use.

use std::collections::BTreeMap;

use bson::{Document, doc};
use message_api::store::Range;
use protocol::ConversationId;
use protocol::api::CursorMove;
use protocol::conversation::Kind;

use crate::bench::{Opened, dm, name};
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
    /// Whether this version stored it.
    is_new: bool,
}

/// A database, and its expected content.
struct Old {
    database: mongodb::Database,
    url: String,
    said: Vec<Said>,
    /// Of users and, with their names, of devices.
    cursors: BTreeMap<(String, ConversationId), i64>,
    /// The end of the deleted beginning of each log.
    forgotten: BTreeMap<ConversationId, i64>,
    random: u64,
}

impl Old {
    async fn new(mongod: &Mongod, name: &str) -> Self {
        let url = mongod.url(name);
        let database = mongodb::Client::with_uri_str(&url).await.unwrap().database(name);
        let (said, cursors, forgotten) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { database, url, said, cursors, forgotten, random: 0x2545_f491_4f6c_dd1d }
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

    /// A conversation's log at these numbers, with any senders.
    fn say(&mut self, one: &str, other: &str, places: impl Iterator<Item = i64>) {
        let conversation = dm(one, other);
        for seq in places {
            let sender = if self.below(3) == 0 { one } else { other };
            let at = 1_700_000_000_000_000 + i64::try_from(self.said.len()).unwrap();
            let body = format!("{conversation} {seq}");
            let sender = sender.to_owned();
            self.said.push(Said { conversation: conversation.clone(), seq, at, sender, body, is_new: false });
        }
    }

    fn see(&mut self, user: &str, other: &str, seq: i64) {
        self.cursors.insert((user.to_owned(), dm(user, other)), seq);
    }

    /// Stores a message through a store of this version.
    async fn say_now(&mut self, opened: &Opened, one: &str, other: &str) {
        let body = format!("new {}", self.said.len());
        let stored = opened.say(one, other, &body).await;
        let (conversation, sender, seq) = (stored.conversation, one.to_owned(), stored.seq.cast_signed());
        let at = self.said.iter().map(|said| said.at).max().unwrap_or(0).max(1_800_000_000_000_000) + 1;
        self.said.push(Said { conversation, seq, at, sender, body, is_new: true });
    }

    fn is_forgotten(&self, said: &Said) -> bool {
        self.forgotten.get(&said.conversation).is_some_and(|up_to| said.seq <= *up_to)
    }

    /// Writes everything as version 1 did.
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
            let is_incoming = said.conversation.dm_partner(&name(&said.sender)) == Some(user);
            is_incoming && said.seq > seen && !self.is_forgotten(said)
        };
        let mut unseen: Vec<&Said> = self.said.iter().filter(is_unseen).collect();
        unseen.sort_by_key(|said| said.at);
        unseen
    }

    /// The store's answers equal a manual count.
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

    /// Every log is counted to its end and correctly, and no event was written.
    async fn assert_counted(&self) {
        let checkpoints = self.all("checkpoints", doc! {}).await;
        let mut ends: BTreeMap<&str, i64> = BTreeMap::new();
        for checkpoint in &checkpoints {
            let (id, _) = checkpoint.get_str("_id").unwrap().split_once(' ').unwrap();
            let last = checkpoint.get_i64("last").unwrap();
            let said = self.said.iter().filter(|said| said.conversation.as_str() == id && said.seq <= last);
            let conversation = ConversationId::parse(id).unwrap();
            let Kind::Dm(first, _) = conversation.kind() else { panic!("a room") };
            let counts = said
                .fold((0, 0), |(all, of_first), said| (all + 1, of_first + i64::from(said.sender == first)));
            let recorded = ["ordinal", "first"].map(|field| checkpoint.get_i64(field).unwrap());
            assert_eq!(recorded, [counts.0, counts.1], "{checkpoint}");
            let end = ends.entry(id).or_default();
            *end = last.max(*end);
        }
        for said in self.said.iter().filter(|said| !said.is_new) {
            assert!(ends.get(said.conversation.as_str()).is_some_and(|end| *end >= said.seq), "{said:?}");
        }
        let old = self.said.iter().filter(|said| !said.is_new && !self.is_forgotten(said)).count();
        assert_eq!(self.all("events", doc! { "ordinal": { "$exists": false } }).await.len(), old);
        let indexes = self.collection("events").list_index_names().await.unwrap();
        for (index, there) in [("inbox", false), ("unseen", false), ("unread", true), ("log", true)] {
            assert_eq!(indexes.contains(&index.to_owned()), there, "{indexes:?}");
        }
        assert_eq!(self.all("cursors", doc! { "incoming": { "$exists": false } }).await, []);
    }

    async fn all(&self, collection: &str, filter: Document) -> Vec<Document> {
        let found = self.collection(collection).find(filter).await.unwrap();
        futures_util::TryStreamExt::try_collect(found).await.unwrap()
    }

    /// As the pass records it.
    async fn is_done(&self) -> bool {
        !self.all("schema", doc! { "_id": "numbered" }).await.is_empty()
    }
}

fn document(said: &Said) -> Document {
    let (conversation, sender) = (&said.conversation, said.sender.as_str());
    let receiver = conversation.dm_partner(&name(sender)).unwrap();
    doc! {
        "_id": bson::Uuid::new(), "conversation": conversation.as_str(), "seq": said.seq, "at": said.at,
        "sender": sender, "sender_key": sender, "destination": receiver, "destination_key": receiver,
        "client_id": said.at.to_string(), "body": &said.body, "type": "chat",
    }
}

/// Notes, gaps, logs whose beginning was deleted, cursors on events, in gaps, before the beginning and at zero.
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
    old.assert_counted().await;
    old.assert_same(&opened, &USERS).await;
    let cursors = opened.store.cursors(&dm("bob", "carol")).await.unwrap();
    let devices = cursors.iter().map(|at| (at.device.as_ref().map(|device| device.as_str()), at.seq));
    assert_eq!(devices.collect::<Vec<_>>(), [(None, 50), (Some("phone"), 50)], "devices keep theirs");
    old.say_now(&opened, "bob", "alice").await;
    assert_eq!(old.said.last().unwrap().seq, 301);
    old.assert_counted().await;
}

/// A page of messages from before the migration is marked as read one by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_is_counted_right_at_every_event_of_an_earlier_version() {
    let Some(mongod) = Mongod::start().await else { return };
    let mut old = Old::new(&mongod, "everywhere").await;
    old.say("alice", "bob", (1..=70).chain(90..=200).chain(300..=310));
    old.say("bob", "bob", 60..=130);
    old.write().await;
    let opened = bench(old.url.clone()).open().await;
    old.say_now(&opened, "alice", "bob").await;
    for seq in (1..=312).step_by(3) {
        for other in ["alice", "bob"] {
            opened.see("bob", other, seq).await;
            old.see("bob", other, seq.cast_signed());
        }
        old.assert_same(&opened, &["bob"]).await;
    }
    // Two concurrent messages in one conversation.
    let to = |seq, user: &str| CursorMove {
        user: name(user),
        device: None,
        conversation: dm("alice", "bob"),
        seq,
    };
    opened.store.move_cursors(vec![to(91, "alice"), to(68, "alice"), to(312, "bob")]).await.unwrap();
    old.see("alice", "bob", 91);
    old.see("bob", "alice", 312);
    old.assert_same(&opened, &["alice", "bob"]).await;
}

/// It was not closed properly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_version_stores_behind_the_migration_is_counted_when_it_is_found() {
    let Some(mongod) = Mongod::start().await else { return };
    let mut old = Old::new(&mongod, "behind").await;
    old.say("alice", "bob", 1..=100);
    old.say("bob", "carol", 1..=3);
    old.write().await;
    let opened = bench(old.url.clone()).open().await;
    until("it is migrated", async || old.is_done().await).await;
    old.say_now(&opened, "alice", "bob").await;
    assert_eq!(opened.store.delete_up_to(&dm("alice", "bob"), 40).await.unwrap(), 40);
    old.forgotten.insert(dm("alice", "bob"), 40);
    let before = old.said.len();
    old.say("alice", "bob", 102..=180);
    old.say("bob", "carol", 4..=5);
    old.said[before..].iter_mut().for_each(|said| said.at += 200_000_000_000_000);
    old.collection("events").insert_many(old.said[before..].iter().map(document)).await.unwrap();
    opened.see("bob", "alice", 102).await;
    old.see("bob", "alice", 102);
    old.assert_same(&opened, &["alice", "bob", "carol"]).await;
    old.assert_counted().await;
    let again = bench(old.url.clone()).open().await;
    for seq in [103, 130, 180] {
        again.see("bob", "alice", seq).await;
        old.see("bob", "alice", seq.cast_signed());
        old.assert_same(&again, &["alice", "bob"]).await;
    }
    old.say_now(&again, "bob", "alice").await;
    assert_eq!(old.said.last().unwrap().seq, 181);
    old.assert_same(&again, &["alice", "bob"]).await;
}

/// Nothing waits for the pass: what is requested first is counted first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_before_the_pass_reaches_them_are_counted_correctly() {
    let Some(mongod) = Mongod::start().await else { return };
    for what in ["append", "see", "forget"] {
        let mut old = Old::new(&mongod, what).await;
        many_kinds(&mut old);
        old.write().await;
        let opened = bench(old.url.clone()).open().await;
        match what {
            "append" => {
                old.say_now(&opened, "alice", "bob").await;
                assert_eq!(old.said.last().unwrap().seq, 301);
            }
            "see" => {
                opened.see("bob", "alice", 200).await;
                opened.see("bob", "carol", 55).await;
                old.see("bob", "alice", 200);
            }
            _ => {
                assert_eq!(opened.store.delete_up_to(&dm("bob", "alice"), 180).await.unwrap(), 180);
                old.forgotten.insert(dm("bob", "alice"), 180);
            }
        }
        old.assert_same(&opened, &USERS).await;
        until("it is migrated", async || old.is_done().await).await;
        old.assert_same(&opened, &USERS).await;
        old.assert_counted().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_may_be_cut_off_at_any_moment_and_done_by_several_at_once() {
    let Some(mongod) = Mongod::start_puppet().await else { return };
    for writes in 0..4 {
        let database = format!("cut{writes}");
        let mut old = Old::new(&mongod, &database).await;
        // Short logs are counted together, long ones in pieces: four writes in all.
        old.say("bob", "zoe", 1..=22_000);
        old.say("alice", "bob", 1..=9000);
        (0..500).for_each(|n| old.say("bob", &format!("friend{n}"), 1..=3));
        old.see("bob", "zoe", 12_345);
        old.write().await;
        let failures = mongod.fail(&format!("{database}.checkpoints"), writes).await;
        let bench = bench(old.url.clone());
        let first = bench.open().await;
        mongod.has_failed(failures, || drop(first)).await;
        assert!(!old.is_done().await, "cut off after {writes}");
        let counted = old.all("checkpoints", doc! {}).await.len();
        assert_eq!(counted > 0, writes > 0, "cut off after {writes}: {counted} checkpoints");
        let both = [bench.open().await, bench.open().await];
        for _ in 0..5 {
            old.say_now(&both[0], "bob", "zoe").await;
        }
        until("it is migrated", async || old.is_done().await).await;
        old.assert_counted().await;
        let counts = both[1].store.conversations(&name("bob"), 1000).await.unwrap();
        let zoe = counts.iter().find(|summary| summary.conversation == dm("bob", "zoe")).unwrap();
        let expected = old.unseen("bob").iter().filter(|said| said.conversation == dm("bob", "zoe")).count();
        assert_eq!((zoe.head, zoe.unseen), (22_005, expected as u64));
        let last = both[1].store.events(&dm("bob", "zoe"), Range::Before(u64::MAX), 1).await.unwrap();
        assert_eq!(last.events[0].body.as_str(), old.said.last().unwrap().body);
    }
}
