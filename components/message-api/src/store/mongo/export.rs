//! Queries that read the whole database.

use bson::{Document, doc};
use mongo_client::FindOptions;
use protocol::api::CursorMove;
use protocol::native::Device;
use protocol::{ConversationId, UserName};
use uuid::Uuid;

use super::collections::Collections;
use super::document::damaged;
use super::records::ours;
use crate::store::{StatePut, StoreError};

/// The conversations after `after`, in order of their keys.
pub(super) async fn all_conversations(
    collections: &Collections,
    after: Option<&ConversationId>,
    limit: usize,
) -> Result<Vec<ConversationId>, StoreError> {
    let id = |document: &Document| ConversationId::parse(text(document, "_id")?).map_err(damaged);
    let mut after = after.map_or_else(String::new, |after| after.as_str().to_owned());
    loop {
        let filter = doc! { "_id": { "$gt": &after } };
        let found =
            collections.find(&collections.conversations, filter, page(doc! { "_id": 1 }, limit)).await?;
        let Some(last) = found.last() else { return Ok(Vec::new()) };
        text(last, "_id")?.clone_into(&mut after);
        let ids: Vec<_> =
            found.iter().filter_map(|document| ours("conversations", document, id(document))).collect();
        // If all of it belongs to another program, what follows may still be ours.
        if !ids.is_empty() {
            return Ok(ids);
        }
    }
}

/// Users' cursors in a conversation, then those of their devices.
pub(super) async fn cursors(
    collections: &Collections,
    conversation: &ConversationId,
) -> Result<Vec<CursorMove>, StoreError> {
    let ids: Vec<_> = conversation.dm_members().map(|user| format!("{user} {conversation}")).collect();
    let (own, devices) = (doc! { "_id": { "$in": ids } }, doc! { "conversation": conversation.as_str() });
    let mut found = collections.find(&collections.cursors, own, None).await?;
    found.extend(collections.find(&collections.device_cursors, devices, None).await?);
    let cursor = |document: &Document| {
        let device = document.get_str("device").ok().map(Device::parse).transpose().map_err(damaged)?;
        let seq = u64::try_from(document.get_i64("seen").map_err(damaged)?).map_err(damaged)?;
        let user = UserName::stored(text(document, "user")?).map_err(damaged)?;
        Ok(CursorMove { user, device, conversation: conversation.clone(), seq })
    };
    Ok(found.iter().filter_map(|document| ours("cursors", document, cursor(document))).collect())
}

/// The values of services after this owner and key, in order.
pub(super) async fn all_state(
    collections: &Collections,
    after: Option<(UserName, String)>,
    limit: usize,
) -> Result<Vec<StatePut>, StoreError> {
    let filter = after.map_or_else(Document::new, |(owner, key)| {
        let owner = owner.key();
        doc! { "$or": [{ "owner": { "$gt": owner } }, { "owner": owner, "key": { "$gt": key } }] }
    });
    let in_order = page(doc! { "owner": 1, "key": 1 }, limit);
    let found = collections.find(&collections.state, filter, in_order).await?;
    let put = |document: &Document| {
        let owner = UserName::stored(text(document, "owner")?).map_err(damaged)?;
        let (key, value) = (text(document, "key")?.to_owned(), text(document, "value")?.to_owned());
        Ok(StatePut { owner, key, value: Some(value) })
    };
    Ok(found.iter().filter_map(|document| ours("state", document, put(document))).collect())
}

fn page(sort: Document, limit: usize) -> FindOptions {
    FindOptions::new().sort(sort).limit(i64::try_from(limit).unwrap_or(i64::MAX))
}

fn text<'d>(document: &'d Document, field: &str) -> Result<&'d str, StoreError> {
    document.get_str(field).map_err(damaged)
}

/// The id of the database's log, created on demand.
pub(super) async fn log(collections: &Collections) -> Result<Uuid, StoreError> {
    let this = doc! { "_id": "log" };
    let name = doc! { "$setOnInsert": { "log": bson::Uuid::new() } };
    super::records::upsert(collections, &collections.schema, "log".to_owned(), name).await?;
    let found = collections.find(&collections.schema, this, None).await?.pop();
    let found = found.ok_or_else(|| StoreError::unavailable("the log's name is gone from MongoDB"))?;
    match found.get("log") {
        Some(bson::Bson::Binary(binary)) => Ok(Uuid::from_bytes(binary.to_uuid().map_err(damaged)?.bytes())),
        Some(_) | None => Err(StoreError::unavailable("the log's name in MongoDB is damaged")),
    }
}

/// Gives the log a new id.
pub(super) async fn rename_log(collections: &Collections) -> Result<(), StoreError> {
    let name = doc! { "$set": { "log": bson::Uuid::new() } };
    super::records::upsert(collections, &collections.schema, "log".to_owned(), name).await?;
    Ok(())
}
