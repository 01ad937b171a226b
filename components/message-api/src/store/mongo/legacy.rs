//! Imports the messages of the older program, which stored them in a collection `messages` of the same database: `{_id, sender,
//! destination, message, timestamp, type, metadata, seen}`.
//!
//! Read messages are imported first and marked as read, then unread ones, so that within a conversation no read message follows an unread
//! one. Each message's client id is derived from its `_id`: an earlier import is recognised and nothing is stored twice, so this may be
//! interrupted at any moment and repeated. The older program's collection is not changed. Imported messages are not published.

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};
use mongo_client::FindOptions;
use protocol::api::{Appended, CursorMove};
use protocol::{Body, ClientId, ConversationId, Draft, MessageType, Metadata, Timestamp, UserName};
use sha2::{Digest, Sha256};

use super::collections::Collections;
use super::cursor_moves::move_cursors;
use super::document::number;
use super::records;
use super::writer::Writer;
use crate::store::StoreError;

/// The older program's collection.
const MESSAGES: &str = "messages";
/// Marks in our collection `schema` that the import was done.
pub(super) const LEGACY: &str = "legacy";
/// Messages in memory.
const BATCH: usize = 200;
/// Skipped messages that are listed; further ones are only counted.
const NAMED: u64 = 5;

/// The result of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Legacy {
    /// Messages that had been read.
    pub seen: u64,
    /// Unread messages.
    pub unread: u64,
    /// Of both, those that an earlier import had stored.
    pub before: u64,
    /// The number of messages that cannot be imported, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
}

impl std::fmt::Display for Legacy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seen, unread, before, skipped } = self;
        write!(f, "{} messages of the older program: {seen} seen, {unread} unread", seen + unread)?;
        if *before > 0 {
            write!(f, ", {before} of them taken over before")?;
        }
        skipped.iter().try_for_each(|(why, count)| write!(f, "; {count} left out: {why}"))
    }
}

/// Imports the older program's messages, unless that was done before.
pub(super) async fn import_once(collections: &Collections) -> Result<(), StoreError> {
    if waiting(collections).await?.is_none() {
        return Ok(());
    }
    tracing::info!("importing the messages of the older program");
    let legacy = import(collections).await?;
    tracing::info!("imported {legacy}");
    Ok(())
}

/// The number of messages that were never imported; `None` if there are none.
pub(super) async fn waiting(collections: &Collections) -> Result<Option<u64>, StoreError> {
    let done = collections.find(&collections.schema, doc! { "_id": LEGACY }, None).await?;
    if !done.is_empty() {
        return Ok(None);
    }
    let count = collections.database.collection(MESSAGES).estimated_count().await?;
    Ok((count > 0).then_some(count))
}

/// Imports all current messages.
pub(super) async fn import(collections: &Collections) -> Result<Legacy, StoreError> {
    let mut legacy = Legacy::default();
    let mut writer = Writer::new(collections.clone(), None, None).unpublished();
    for (filter, seen) in [(doc! { "seen": true }, true), (doc! { "seen": { "$ne": true } }, false)] {
        pass(collections, &mut writer, filter, seen, &mut legacy).await?;
    }
    let done = doc! { "$set": { "at": Timestamp::now().micros() } };
    records::upsert(collections, &collections.schema, LEGACY.to_owned(), done).await?;
    Ok(legacy)
}

async fn pass(
    collections: &Collections,
    writer: &mut Writer,
    filter: Document,
    seen: bool,
    legacy: &mut Legacy,
) -> Result<(), StoreError> {
    let batch = u32::try_from(BATCH).expect("a small constant");
    // In the order in which they were stored: an ObjectId begins with the time, and is indexed.
    let in_order = FindOptions::new().sort(doc! { "_id": 1 });
    let mut found = collections.database.collection(MESSAGES).scan(filter, in_order, batch).await?;
    let mut drafts = Vec::with_capacity(BATCH);
    while let Some(raw) = found.next_document().await? {
        let document = Document::try_from(&*raw);
        match document.map_err(|_| "the document is damaged").and_then(|document| draft(&document)) {
            Ok(draft) => drafts.push(draft),
            Err(why) => skip(legacy, why, raw.get("_id").ok().flatten()),
        }
        if drafts.len() == BATCH {
            store(collections, writer, std::mem::take(&mut drafts), seen, legacy).await?;
        }
    }
    store(collections, writer, drafts, seen, legacy).await
}

fn skip(legacy: &mut Legacy, why: &'static str, id: Option<bson::RawBsonRef<'_>>) {
    let count = legacy.skipped.entry(why).or_default();
    *count += 1;
    if *count <= NAMED {
        let id = id.map(|id| format!("{id:?}")).unwrap_or_default();
        tracing::warn!(id, why, "skipped a message of the older program");
    }
}

async fn store(
    collections: &Collections,
    writer: &mut Writer,
    messages: Vec<(UserName, Draft)>,
    seen: bool,
    legacy: &mut Legacy,
) -> Result<(), StoreError> {
    if messages.is_empty() {
        return Ok(());
    }
    let (users, drafts): (Vec<UserName>, Vec<Draft>) = messages.into_iter().unzip();
    let stored = writer.write_now(drafts).await?;
    legacy.before += stored.iter().filter(|stored| stored.duplicate).count() as u64;
    if seen {
        legacy.seen += stored.len() as u64;
        mark_as_read(collections, &users, &stored).await
    } else {
        legacy.unread += stored.len() as u64;
        Ok(())
    }
}

/// Moves cursors over read messages, unless unread ones precede them, which would be marked as read, too.
async fn mark_as_read(
    collections: &Collections,
    users: &[UserName],
    stored: &[Appended],
) -> Result<(), StoreError> {
    let mut places: BTreeMap<(&UserName, &ConversationId), Vec<u64>> = BTreeMap::new();
    for (user, stored) in users.iter().zip(stored) {
        places.entry((user, &stored.conversation)).or_default().push(stored.seq);
    }
    let mut moves = Vec::new();
    for ((user, conversation), mut seqs) in places {
        seqs.sort_unstable();
        seqs.dedup();
        let id = format!("{} {conversation}", user.key());
        let cursor = collections.find(&collections.cursors, doc! { "_id": id }, None).await?.pop();
        let from = cursor.and_then(|cursor| cursor.get_i64("seen").ok()).unwrap_or(0);
        seqs.retain(|seq| i64::try_from(*seq).is_ok_and(|seq| seq > from));
        let Some(last) = seqs.last().copied() else { continue };
        let mut between =
            doc! { "conversation": conversation.as_str(), "seq": { "$gt": from, "$lte": number(last) } };
        if !conversation.is_note_to_self() {
            between.insert("sender_key", doc! { "$ne": user.key() });
        }
        if collections.count(&collections.events, between, None).await? == seqs.len() as u64 {
            let (user, conversation) = (user.clone(), conversation.clone());
            moves.push(CursorMove { user, device: None, conversation, seq: last });
        }
    }
    move_cursors(collections, moves).await
}

/// Converts a message of the older program to a draft and its recipient, or returns why it cannot.
fn draft(document: &Document) -> Result<(UserName, Draft), &'static str> {
    let text = |field| document.get_str(field);
    let name = |field, why| text(field).ok().and_then(|name| UserName::parse(name).ok()).ok_or(why);
    let id = document.get("_id").ok_or("it has no _id")?;
    let body = text("message").map_err(|_| "it has no text")?;
    let sender = name("sender", "its sender's name cannot be one here")?;
    let receiver = name("destination", "its receiver's name cannot be one here")?;
    let draft = Draft {
        conversation: ConversationId::dm(&sender, &receiver),
        sender,
        body: Body::parse(body).map_err(|_| "its text is empty, too long or not printable")?,
        kind: kind(text("type").unwrap_or_default()),
        metadata: metadata(document.get("metadata")).ok_or("its metadata cannot be stored")?,
        client_id: client_id(id)?,
        timestamp: document.get("timestamp").and_then(time).or_else(|| made(id)),
    };
    Ok((receiver, draft))
}

/// The older program showed unknown types as chat.
fn kind(name: &str) -> MessageType {
    serde_json::from_value(serde_json::Value::from(name)).unwrap_or(MessageType::Chat)
}

fn metadata(value: Option<&Bson>) -> Option<Metadata> {
    match value {
        None | Some(Bson::Null) => Some(Metadata::default()),
        Some(Bson::Document(object)) => serde_json::from_value(serde_json::to_value(object).ok()?).ok(),
        Some(_) => None,
    }
}

fn client_id(id: &Bson) -> Result<ClientId, &'static str> {
    let text = if let Bson::ObjectId(id) = id {
        id.to_hex()
    } else {
        let hash =
            Sha256::digest(bson::serialize_to_vec(&doc! { "_id": id }).map_err(|_| "its _id is damaged")?);
        hash.iter().take(20).map(|byte| format!("{byte:02x}")).collect()
    };
    ClientId::parse(&format!("legacy-{text}")).map_err(|_| "its _id is damaged")
}

/// A time as the older program wrote it: text with or without a time zone, a date, or seconds since 1970. The default zone is UTC.
fn time(value: &Bson) -> Option<Timestamp> {
    let seconds = |seconds: i64| Some(Timestamp::from_micros(seconds.checked_mul(1_000_000)?));
    match value {
        Bson::String(text) => Timestamp::parse(&text.trim().replacen(' ', "T", 1)).ok(),
        Bson::DateTime(date) => Some(Timestamp::from_micros(date.timestamp_millis().checked_mul(1000)?)),
        Bson::Int32(number) => seconds((*number).into()),
        Bson::Int64(number) => seconds(*number),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float that is too large becomes the largest number"
        )]
        Bson::Double(number) if number.is_finite() => Some(Timestamp::from_micros((number * 1e6) as i64)),
        _ => None,
    }
}

fn made(id: &Bson) -> Option<Timestamp> {
    let Bson::ObjectId(id) = id else { return None };
    time(&Bson::DateTime(id.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(change: Document) -> Document {
        let mut message = doc! { "_id": bson::oid::ObjectId::new(), "sender": "alice", "destination": "bob", "message": "hi" };
        message.extend(change);
        message
    }

    #[test]
    fn times_are_read_in_every_form() {
        let told = Timestamp::parse("2025-11-20T23:21:22+00:00").unwrap();
        for text in [
            "2025-11-20T23:21:22",
            "2025-11-20 23:21:22",
            "2025-11-21T00:21:22+01:00",
            "2025-11-20T23:21:22Z",
        ] {
            assert_eq!(
                draft(&message(doc! { "timestamp": text })).unwrap().1.timestamp,
                Some(told),
                "{text}"
            );
        }
        let date = bson::DateTime::from_millis(told.micros() / 1000);
        assert_eq!(draft(&message(doc! { "timestamp": date })).unwrap().1.timestamp, Some(told));
        let seconds = told.micros() / 1_000_000;
        assert_eq!(draft(&message(doc! { "timestamp": seconds })).unwrap().1.timestamp, Some(told));
        let made = draft(&message(doc! { "timestamp": "yesterday" })).unwrap().1.timestamp.unwrap();
        assert!((Timestamp::now().micros() - made.micros()).abs() < 60_000_000, "when its _id was made");
    }

    #[test]
    fn invalid_messages_are_reported_by_reason() {
        let why = |change: Document| draft(&message(change)).unwrap_err();
        assert_eq!(why(doc! { "sender": "a b" }), "its sender's name cannot be one here");
        assert_eq!(why(doc! { "destination": 7 }), "its receiver's name cannot be one here");
        assert_eq!(
            why(doc! { "message": "x".repeat(20_000) }),
            "its text is empty, too long or not printable"
        );
        assert_eq!(why(doc! { "metadata": "text" }), "its metadata cannot be stored");
        let (_, fine) = draft(&message(doc! { "type": "notification", "metadata": { "a": 1 } })).unwrap();
        assert_eq!((fine.kind, fine.metadata.to_json().as_str()), (MessageType::Notification, r#"{"a":1}"#));
        let named = draft(&message(doc! { "_id": "some text" })).unwrap().1;
        assert_eq!(named.client_id, draft(&message(doc! { "_id": "some text" })).unwrap().1.client_id);
    }
}
