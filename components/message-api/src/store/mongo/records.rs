//! Users, and the state of services.

use std::collections::{BTreeMap, HashSet};

use bson::{Document, doc};
use mongo_client::{CallError, FindOptions};
use protocol::api::{RegisterUser, User, Users};
use protocol::{Timestamp, UserName};
use serde_json::Value;

use super::collections::{Collection, Collections};
use super::cursor_moves;
use super::document::{damaged, number};
use crate::store::{STATE_KEYS, StatePut, StoreError};

/// Skeletons written with one command.
const FILLED_AT_ONCE: i64 = 500;

/// A write that a majority must confirm.
pub(super) async fn probe(collections: &Collections) -> Result<(), StoreError> {
    let (probe, now) = (doc! { "_id": "probe" }, doc! { "$set": { "at": Timestamp::now().micros() } });
    collections.update(&collections.counters, probe, now, true).await?;
    Ok(())
}

/// Updates one document, or creates it. Returns whether it was created.
pub(super) async fn upsert(
    collections: &Collections,
    collection: &Collection<Document>,
    id: String,
    update: Document,
) -> Result<bool, CallError> {
    let attempt = || collections.update(collection, doc! { "_id": &id }, update.clone(), true);
    let result = match attempt().await {
        // Two processes created it at the same time; the second attempt finds it.
        Err(error) if error.is_duplicate_key() => attempt().await,
        result => result,
    };
    result.map(|result| result.is_new)
}

/// Registers a user who logged in. A new user gets the next number.
pub(super) async fn register(collections: &Collections, user: RegisterUser) -> Result<(), StoreError> {
    let now = Timestamp::now().micros();
    let mut changed = doc! { "last_seen": now };
    if let Some(address) = &user.address {
        changed.insert("address", address);
    }
    let mut update = doc! { "$set": changed };
    let known = doc! { "_id": user.name.key() };
    let found = collections.update(&collections.users, known, update.clone(), false).await?;
    if found.matched_count == 1 {
        return Ok(());
    }
    let ordinal = next_ordinal(collections).await?;
    let (name, skeleton) = (user.name.as_str(), &*user.name.skeleton());
    let first = doc! { "name": name, "skeleton": skeleton, "first_seen": now, "ordinal": ordinal };
    update.insert("$setOnInsert", first);
    upsert(collections, &collections.users, user.name.key().to_owned(), update).await?;
    Ok(())
}

/// Registers a user as in another store.
pub(super) async fn import_user(collections: &Collections, user: &User) -> Result<(), StoreError> {
    let mut times = doc! { "$max": { "last_seen": user.last_seen.micros() }, "$min": { "first_seen": user.first_seen.micros() } };
    if let Some(address) = &user.address {
        times.insert("$set", doc! { "address": address });
    }
    let known = doc! { "_id": user.name.key() };
    let found = collections.update(&collections.users, known, times.clone(), false).await?;
    if found.matched_count == 0 {
        let ordinal = next_ordinal(collections).await?;
        let (name, skeleton) = (user.name.as_str(), &*user.name.skeleton());
        times.insert("$setOnInsert", doc! { "name": name, "skeleton": skeleton, "ordinal": ordinal });
        upsert(collections, &collections.users, user.name.key().to_owned(), times).await?;
    }
    Ok(())
}

async fn next_ordinal(collections: &Collections) -> Result<i64, StoreError> {
    let (users, update) = (doc! { "_id": "users" }, doc! { "$inc": { "next": 1_i64 } });
    let counted = collections.counters.documents().update_and_get(users, update);
    let counter = counted.await?.unwrap_or_default();
    counter.get_i64("next").map_err(damaged)
}

/// Registered users after this number.
pub(super) async fn users(collections: &Collections, after: u64, limit: usize) -> Result<Users, StoreError> {
    let most = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let in_order = FindOptions::new().sort(doc! { "ordinal": 1 }).limit(most);
    let behind = doc! { "ordinal": { "$gt": number(after) } };
    let mut found = collections.find(&collections.users, behind, in_order).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = match found.last() {
        Some(last) => u64::try_from(last.get_i64("ordinal").map_err(damaged)?).map_err(damaged)?,
        None => after,
    };
    let users = found.iter().filter_map(|document| ours("users", document, user(document))).collect();
    Ok(Users { users, last, more })
}

/// Others may write to the database: a foreign document is logged and skipped.
pub(super) fn ours<T>(collection: &str, document: &Document, read: Result<T, StoreError>) -> Option<T> {
    let id = document.get("_id").map(ToString::to_string).unwrap_or_default();
    let name = |error: &StoreError| {
        let why = kit::failure::chain(error);
        tracing::warn!(collection, id, why, "skipped a document of another program");
    };
    read.inspect_err(name).ok()
}

/// Those of these names that are registered.
pub(super) async fn known(
    collections: &Collections,
    mut names: Vec<UserName>,
) -> Result<Vec<UserName>, StoreError> {
    let keys: Vec<&str> = names.iter().map(UserName::key).collect();
    let only_keys = FindOptions::new().projection(doc! { "_id": 1 });
    let found = collections.find(&collections.users, doc! { "_id": { "$in": keys } }, only_keys).await?;
    let found: HashSet<&str> = found.iter().filter_map(|document| document.get_str("_id").ok()).collect();
    names.retain(|name| found.contains(name.key()));
    Ok(names)
}

/// The user who registered first among those with another name of the same skeleton.
pub(super) async fn lookalike(
    collections: &Collections,
    name: &UserName,
) -> Result<Option<UserName>, StoreError> {
    let filter = doc! { "skeleton": &*name.skeleton(), "_id": { "$ne": name.key() } };
    let first = FindOptions::new().sort(doc! { "ordinal": 1 }).limit(1);
    let found = collections.find(&collections.users, filter, first).await?;
    Ok(found.iter().find_map(|document| ours("users", document, user(document))).map(|user| user.name))
}

/// Stores the skeletons of names registered by a version without them.
pub(super) async fn fill_skeletons(collections: &Collections) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let filter = doc! { "_id": { "$gt": &after }, "skeleton": { "$exists": false } };
        let page = FindOptions::new().sort(doc! { "_id": 1 }).limit(FILLED_AT_ONCE);
        let found = collections.find(&collections.users, filter, page).await?;
        let Some(last) = found.last() else { return Ok(()) };
        after = last.get_str("_id").map_err(damaged)?.to_owned();
        let change = |document: &Document| {
            // A document that is no user is left alone.
            let (id, name) = (document.get_str("_id").ok()?, document.get_str("name").ok()?);
            let skeleton = UserName::stored(name).ok()?.skeleton();
            Some(doc! { "q": { "_id": id }, "u": { "$set": { "skeleton": &*skeleton } } })
        };
        let changes = found.iter().filter_map(change).collect();
        cursor_moves::update_all(collections, &collections.users, changes).await?;
    }
}

fn user(document: &Document) -> Result<User, StoreError> {
    let time = |field| document.get_i64(field).map(Timestamp::from_micros).map_err(damaged);
    Ok(User {
        name: UserName::stored(document.get_str("name").map_err(damaged)?).map_err(damaged)?,
        address: document.get_str("address").ok().map(str::to_owned),
        first_seen: time("first_seen")?,
        last_seen: time("last_seen")?,
    })
}

/// The values of a service.
pub(super) async fn state(
    collections: &Collections,
    owner: &UserName,
) -> Result<BTreeMap<String, Value>, StoreError> {
    let found = collections.find(&collections.state, doc! { "owner": owner.key() }, None).await?;
    let entry = |document: &Document| {
        let value = document.get_str("value").map_err(damaged)?;
        let value = serde_json::from_str(value).map_err(damaged)?;
        Ok((document.get_str("key").map_err(damaged)?.to_owned(), value))
    };
    found.iter().map(entry).collect()
}

/// Sets or deletes a value. Two processes that add keys at the same time may together exceed the limit slightly.
pub(super) async fn put_state(collections: &Collections, put: StatePut) -> Result<(), StoreError> {
    let (state, filter) = (&collections.state, doc! { "owner": put.owner.key(), "key": &put.key });
    let Some(value) = put.value else {
        return Ok(collections.delete(state, filter).await?);
    };
    let change = doc! { "$set": { "value": value } };
    let found = collections.update(state, filter.clone(), change.clone(), false).await?;
    if found.matched_count == 1 {
        return Ok(());
    }
    let count = collections.count(state, doc! { "owner": put.owner.key() }, Some(STATE_KEYS)).await?;
    if count >= STATE_KEYS {
        let detail = format!("{} already has {STATE_KEYS} keys, the maximum", put.owner);
        return Err(StoreError::refused("key", detail));
    }
    collections.update(state, filter, change, true).await?;
    Ok(())
}
