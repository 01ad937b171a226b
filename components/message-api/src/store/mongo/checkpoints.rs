//! Counts up to some events of logs that an earlier version wrote.
//!
//! Those events have no numbers of their own, and writing numbers to each would take longer than storing them did. So a checkpoint is
//! stored for one event of each [`SPAN`], in a separate collection, and events after it are counted on demand.
//!
//! All values in a checkpoint increase along the log, so it does not matter which process writes it, nor in which order. The events after a
//! checkpoint exist as long as the checkpoint's own: only the beginning of a log is ever deleted.

use std::collections::HashMap;

use bson::{Document, doc};
use mongo_client::FindOptions;
use protocol::ConversationId;

use super::collections::Collections;
use super::counted::Counted;
use super::document::damaged;
use crate::store::StoreError;

/// The number of `seq`s that share a checkpoint.
pub(super) const SPAN: i64 = 64;
/// Checkpoints per query.
const MANY: usize = 1000;

/// The counts up to the last event of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// The `seq` of that event. While the log grows within the span, later versions have a later one.
    pub(super) last: i64,
    pub(super) counted: Counted,
}

/// The key of the checkpoint of a span. Keys of one log sort in its order.
pub(super) fn key(conversation: &ConversationId, seq: i64) -> String {
    format!("{conversation} {:018}", seq / SPAN)
}

/// The existing checkpoints of these `seq`s, by key.
pub(super) async fn at<'c>(
    collections: &Collections,
    places: impl Iterator<Item = (&'c ConversationId, i64)>,
) -> Result<HashMap<String, Checkpoint>, StoreError> {
    let mut keys: Vec<String> = places.map(|(conversation, seq)| key(conversation, seq)).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut there = HashMap::with_capacity(keys.len());
    for some in keys.chunks(MANY) {
        let filter = doc! { "_id": { "$in": some } };
        for document in collections.find(&collections.checkpoints, filter, None).await? {
            there.insert(document.get_str("_id").map_err(damaged)?.to_owned(), read(&document)?);
        }
    }
    Ok(there)
}

/// The last one of a log.
pub(super) async fn newest(
    collections: &Collections,
    conversation: &ConversationId,
) -> Result<Option<Checkpoint>, StoreError> {
    let own = doc! { "_id": { "$gte": key(conversation, 0), "$lte": key(conversation, i64::MAX) } };
    let last = FindOptions::new().sort(doc! { "_id": -1 }).limit(1);
    let found = collections.find(&collections.checkpoints, own, last).await?;
    found.first().map(read).transpose()
}

/// Inserts checkpoints of logs that have none. Those that another process inserted meanwhile stay.
pub(super) async fn insert(
    collections: &Collections,
    new: &[(&ConversationId, Checkpoint)],
) -> Result<(), StoreError> {
    for some in new.chunks(MANY) {
        let document = |(conversation, checkpoint): &(&ConversationId, Checkpoint)| {
            let mut document = numbers(checkpoint);
            document.insert("_id", key(conversation, checkpoint.last));
            document
        };
        let documents = some.iter().map(document).collect();
        match collections.insert(&collections.checkpoints, documents, false).await {
            Err(error) if !error.says_only_duplicates() => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Writes checkpoints of a log unless existing ones have more. If interrupted, the first ones are written.
pub(super) async fn raise(
    collections: &Collections,
    conversation: &ConversationId,
    checkpoints: &[Checkpoint],
) -> Result<(), StoreError> {
    for some in checkpoints.chunks(MANY) {
        let raise = |checkpoint: &Checkpoint| {
            doc! { "q": { "_id": key(conversation, checkpoint.last) }, "u": { "$max": numbers(checkpoint) }, "upsert": true }
        };
        collections.update_in_order(&collections.checkpoints, some.iter().map(raise).collect()).await?;
    }
    Ok(())
}

fn numbers(checkpoint: &Checkpoint) -> Document {
    let Checkpoint { last, counted } = checkpoint;
    doc! { "last": *last, "ordinal": counted.ordinal, "first": counted.first }
}

fn read(document: &Document) -> Result<Checkpoint, StoreError> {
    let number = |field| document.get_i64(field).map_err(damaged);
    let counted = Counted { ordinal: number("ordinal")?, first: number("first")? };
    Ok(Checkpoint { last: number("last")?, counted })
}
