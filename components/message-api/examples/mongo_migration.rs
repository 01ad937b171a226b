//! Measures the migration of a MongoDB database of version 1, compared with storing the same documents: `cargo run --release -p message-api
//! --example mongo_migration -- mongodb://127.0.0.1/old 1000000` creates such a database, with half of the messages in one conversation and
//! the other half in conversations of fifty, and migrates it. The database is dropped before.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{Document, RawDocumentBuf, doc};
use futures_util::{StreamExt, TryStreamExt, stream};
use message_api::StoreConfig;
use message_api::feed::Feed;
use message_api::store;
use mongodb::options::{Acknowledgment, IndexOptions, WriteConcern};
use mongodb::{Client, Database, IndexModel};

/// Messages in each of the small conversations.
const SMALL: i64 = 50;
/// Documents per insert.
const INSERT: usize = 1000;
/// Concurrent inserts: as many as the migration has commands.
const PARALLEL: usize = 4;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program for a person's terminal")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("say which database: mongodb://HOST/DATABASE")?;
    let messages: i64 = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let database = Client::with_uri_str(&url).await?.default_database().ok_or("the URL names no database")?;
    database.drop().await?;
    make_indexes(&database).await?;
    let logs = logs(messages);
    let rate = |begun: Instant| {
        let seconds = begun.elapsed().as_secs_f64();
        (seconds, f64::from(u32::try_from(messages).unwrap_or(u32::MAX)) / seconds)
    };
    let documents = logs.iter().flat_map(|(other, count)| (1..=*count).map(move |seq| event(other, seq)));
    let documents = documents.collect::<Result<Vec<_>, _>>()?;
    let begun = Instant::now();
    insert(&database, &documents).await?;
    let (seconds, inserted) = rate(begun);
    println!("{messages} messages inserted in {seconds:.2} s: {inserted:.0}/s");
    drop(documents);
    make_rest(&database, &logs).await?;

    let begun = Instant::now();
    let config = StoreConfig { url, ..StoreConfig::default() };
    let store = store::open(&config, Path::new("."), Arc::new(Feed::default()), store::no_progress())
        .await
        .map_err(|error| error.into_failure().to_string())?;
    let schema = database.collection::<Document>("schema");
    while schema.find_one(doc! { "_id": "numbered" }).await?.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (seconds, migrated) = rate(begun);
    println!("migrated in {seconds:.2} s: {migrated:.0}/s, {:.1} times as fast", migrated / inserted);
    store.close().await?;
    let events = database.collection::<Document>("events");
    events.drop_index("unread").await?;
    let begun = Instant::now();
    events
        .create_index(index("unread", doc! { "conversation": 1, "at": 1, "_id": 1, "sender_key": 1 }, false))
        .await?;
    println!("of that the server takes {:.2} s to make the index", rate(begun).0);
    Ok(())
}

/// The user's partner, and the number of messages.
fn logs(messages: i64) -> Vec<(String, i64)> {
    let small = messages / 2 / SMALL;
    let mut logs = vec![("alice".to_owned(), messages - small * SMALL)];
    logs.extend((0..small).map(|n| (format!("friend{n:07}"), SMALL)));
    logs
}

fn conversation(other: &str) -> String {
    if other == "alice" { "dm:alice:bob".to_owned() } else { format!("dm:bob:{other}") }
}

fn event(other: &str, seq: i64) -> Result<RawDocumentBuf, bson::error::Error> {
    let (sender, receiver) = if seq % 5 < 2 { (other, "bob") } else { ("bob", other) };
    let id = uuid::Uuid::now_v7();
    let document = doc! {
        "_id": bson::Uuid::from_bytes(id.into_bytes()), "conversation": conversation(other), "seq": seq,
        "at": 1_700_000_000_000_000 + seq, "sender": sender, "sender_key": sender, "destination": receiver,
        "destination_key": receiver, "client_id": id.to_string(),
        "body": format!("message {seq} with some words that people would say"), "type": "chat",
    };
    RawDocumentBuf::try_from(&document)
}

fn index(name: &str, keys: Document, unique: bool) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).unique(unique).build();
    IndexModel::builder().keys(keys).options(options).build()
}

async fn make_indexes(database: &Database) -> mongodb::error::Result<()> {
    let indexes = [
        index("log", doc! { "conversation": 1, "seq": -1 }, true),
        index("sent", doc! { "client_id": 1, "sender_key": 1 }, true),
        index("inbox", doc! { "destination_key": 1, "conversation": 1, "seq": -1 }, false),
        index("unseen", doc! { "destination_key": 1, "at": 1, "_id": 1 }, false),
    ];
    database.collection::<Document>("events").create_indexes(indexes).await.map(drop)
}

async fn insert(database: &Database, documents: &[RawDocumentBuf]) -> mongodb::error::Result<()> {
    let concern = WriteConcern::builder().w(Acknowledgment::Nodes(1)).build();
    let events = database.collection::<RawDocumentBuf>("events");
    let inserts = documents.chunks(INSERT).map(|part| {
        let (events, concern) = (events.clone(), concern.clone());
        async move { events.insert_many(part).ordered(false).write_concern(concern).await.map(drop) }
    });
    stream::iter(inserts).buffer_unordered(PARALLEL).try_collect().await
}

/// Conversations and cursors; the latter are at two thirds of the messages.
async fn make_rest(database: &Database, logs: &[(String, i64)]) -> mongodb::error::Result<()> {
    let one = doc! { "_id": "version", "version": 1 };
    database.collection::<Document>("schema").insert_one(one).await?;
    for part in logs.chunks(INSERT) {
        let entry =
            |(other, _): &(String, i64)| doc! { "_id": conversation(other), "members": ["bob", other] };
        let entries = part.iter().map(entry);
        database.collection::<Document>("conversations").insert_many(entries).await?;
        let cursor = |(other, count): &(String, i64)| {
            let seen = count * 2 / 3;
            doc! {
                "_id": format!("bob {}", conversation(other)), "user": "bob", "conversation": conversation(other),
                "seen": seen, "seen_at": 1_700_000_000_000_000 + seen,
            }
        };
        database.collection::<Document>("cursors").insert_many(part.iter().map(cursor)).await?;
    }
    Ok(())
}
