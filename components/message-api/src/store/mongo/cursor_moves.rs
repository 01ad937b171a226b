//! Moves cursors, many with each command: every write waits for a majority, so single moves would be limited to one or two hundred per
//! second.

use std::collections::{BTreeSet, HashMap};

use bson::{Document, doc};
use mongo_client::FindOptions;
use protocol::ConversationId;
use protocol::Timestamp;
use protocol::api::CursorMove;

use super::collections::{Collection, Collections};
use super::counted::Counted;
use super::document::{damaged, number};
use super::heads::heads;
use super::numbering;
use crate::store::{DEVICES, StoreError};
use mongo_client::DUPLICATE_KEY;

/// Moves per command.
const COMMAND: usize = 256;

/// An event to which a cursor moves.
#[derive(Debug, Clone, Copy)]
struct Reached {
    seq: i64,
    at: i64,
    counted: Counted,
}

/// Moves cursors. Each update is a maximum, so concurrent moves of the same cursor need no order.
pub(super) async fn move_cursors(
    collections: &Collections,
    moves: Vec<CursorMove>,
) -> Result<(), StoreError> {
    for part in moves.chunks(COMMAND) {
        move_some(collections, part).await?;
    }
    Ok(())
}

async fn move_some(collections: &Collections, moves: &[CursorMove]) -> Result<(), StoreError> {
    let (mut of_users, mut of_devices, mut owners) = (Vec::new(), Vec::new(), Vec::new());
    for (to, reached) in moves.iter().zip(reached(collections, moves).await?) {
        let Some(Reached { seq, at, counted }) = reached else { continue };
        let (user, conversation) = (to.user.key(), to.conversation.as_str());
        let incoming = counted.received_by(&to.conversation, user);
        // All three increase along the log, so each maximum belongs to the same event.
        let change = doc! {
            "$max": { "seen": seq, "seen_at": at, "incoming": incoming },
            "$setOnInsert": { "user": user, "conversation": conversation },
        };
        of_users.push(upsert(format!("{user} {conversation}"), change));
        if let Some(device) = &to.device {
            let change = doc! {
                "$max": { "seen": seq, "used": Timestamp::now().micros() },
                "$setOnInsert": { "user": user, "device": device.as_str(), "conversation": conversation },
            };
            of_devices.push(upsert(format!("{user} {device} {conversation}"), change));
            owners.push(user);
        }
    }
    update_all(collections, &collections.cursors, of_users).await?;
    let made = update_all(collections, &collections.device_cursors, of_devices).await?;
    let have_new: BTreeSet<&str> = made.into_iter().filter_map(|index| owners.get(index).copied()).collect();
    for user in have_new {
        forget_old_devices(collections, user).await?;
    }
    Ok(())
}

/// Stores the counts in cursors that an earlier version moved, and returns them.
pub(super) async fn count(collections: &Collections, cursors: &[CursorMove]) -> Result<Vec<i64>, StoreError> {
    let mut counts = Vec::with_capacity(cursors.len());
    for part in cursors.chunks(COMMAND) {
        let mut updates = Vec::with_capacity(part.len());
        for (at, reached) in part.iter().zip(reached(collections, part).await?) {
            let user = at.user.key();
            // If the log up to there was deleted, nothing that is left precedes it.
            let count = reached.map_or(0, |reached| reached.counted.received_by(&at.conversation, user));
            let id = format!("{user} {}", at.conversation);
            updates.push(doc! { "q": { "_id": id }, "u": { "$max": { "incoming": count } } });
            counts.push(count);
        }
        update_all(collections, &collections.cursors, updates).await?;
    }
    Ok(counts)
}

fn upsert(id: String, change: Document) -> Document {
    doc! { "q": { "_id": id }, "u": change, "upsert": true }
}

/// The targets of moves: the last event up to the `seq`, so that a cursor beyond the end becomes one at the end. Most targets are existing
/// events or the end.
async fn reached(
    collections: &Collections,
    moves: &[CursorMove],
) -> Result<Vec<Option<Reached>>, StoreError> {
    let exact = exact(collections, moves).await?;
    let known = |to: &CursorMove| {
        let seq = i64::try_from(to.seq).unwrap_or(i64::MAX);
        exact.get(&(to.conversation.as_str(), seq)).copied()
    };
    let others: Vec<&CursorMove> = moves.iter().filter(|to| known(to).is_none()).collect();
    let ends = heads(collections, others.iter().map(|to| &to.conversation)).await?;
    let mut reached = Vec::with_capacity(moves.len());
    for to in moves {
        reached.push(match (known(to), ends.get(&to.conversation)) {
            (Some(event), _) => Some(event),
            (None, None) => None,
            (None, Some(end)) if end.seq <= to.seq => Some(Reached {
                seq: i64::try_from(end.seq).map_err(damaged)?,
                at: end.order,
                counted: end.counted,
            }),
            // A gap of a log: the event was deleted, or its `seq` was assigned before a restore.
            (None, Some(_)) => last_before(collections, to).await?,
        });
    }
    Ok(reached)
}

/// The events that moves name exactly.
async fn exact<'m>(
    collections: &Collections,
    moves: &'m [CursorMove],
) -> Result<HashMap<(&'m str, i64), Reached>, StoreError> {
    let places =
        moves.iter().map(|to| doc! { "conversation": to.conversation.as_str(), "seq": number(to.seq) });
    let filter = doc! { "$or": places.collect::<Vec<_>>() };
    let fields =
        doc! { "_id": 0, "conversation": 1, "seq": 1, "at": 1, "sender_key": 1, "ordinal": 1, "sent": 1 };
    let events = collections.events.clone_with_type::<Document>();
    let options = FindOptions::new().projection(fields);
    let ids: HashMap<&str, &ConversationId> =
        moves.iter().map(|to| (to.conversation.as_str(), &to.conversation)).collect();
    let (mut exact, mut bare, mut orders) = (HashMap::new(), Vec::new(), Vec::new());
    for found in collections.find(&events, filter, options).await? {
        let conversation = found.get_str("conversation").map_err(damaged)?;
        let Some(id) = ids.get(conversation).copied() else { continue };
        let (seq, at) = (found.get_i64("seq").map_err(damaged)?, found.get_i64("at").map_err(damaged)?);
        if let (Ok(ordinal), Ok(sent)) = (found.get_i64("ordinal"), found.get_i64("sent")) {
            let counted = Counted::read(id, found.get_str("sender_key").map_err(damaged)?, ordinal, sent);
            exact.insert((id.as_str(), seq), Reached { seq, at, counted });
        } else {
            bare.push((id.clone(), seq));
            orders.push((id.as_str(), at));
        }
    }
    let counts = numbering::counted_at(collections, &bare).await?;
    for (((_, seq), (id, at)), counted) in bare.into_iter().zip(orders).zip(counts) {
        exact.insert((id, seq), Reached { seq, at, counted });
    }
    Ok(exact)
}

async fn last_before(collections: &Collections, to: &CursorMove) -> Result<Option<Reached>, StoreError> {
    let filter = doc! { "conversation": to.conversation.as_str(), "seq": { "$lte": number(to.seq) } };
    let last = FindOptions::new().sort(doc! { "conversation": -1, "seq": -1 }).limit(1);
    let Some(event) = collections.find(&collections.events, filter, last).await?.pop() else {
        return Ok(None);
    };
    let place = (to.conversation.clone(), event.seq);
    let counted = match event.counted(&to.conversation) {
        Some(counted) => Some(counted),
        None => numbering::counted_at(collections, &[place]).await?.pop(),
    };
    Ok(counted.map(|counted| Reached { seq: event.seq, at: event.order, counted }))
}

/// Makes all these updates with one command; returns the indexes of those that created a document. If two processes create the same
/// document at the same time, one of them is rejected, tries again and finds it.
pub(super) async fn update_all(
    collections: &Collections,
    of: &Collection<Document>,
    updates: Vec<Document>,
) -> Result<Vec<usize>, StoreError> {
    if updates.is_empty() {
        return Ok(Vec::new());
    }
    let mut outcome = collections.update_many_with_one_command(of, updates.clone(), false).await?;
    let again: Vec<Document> =
        outcome.duplicates.iter().filter_map(|index| updates.get(*index).cloned()).collect();
    if !again.is_empty() {
        let second = collections.update_many_with_one_command(of, again, false).await?;
        if !second.duplicates.is_empty() {
            return Err(StoreError::unavailable("MongoDB refused an update twice because of another one"));
        }
        outcome.made.extend(second.made.iter().filter_map(|index| outcome.duplicates.get(*index)));
    }
    Ok(outcome.made)
}

/// The results of many updates, by index.
#[derive(Debug, Default)]
struct Outcome {
    made: Vec<usize>,
    duplicates: Vec<usize>,
}

impl Outcome {
    fn read(answer: &Document) -> Result<Self, StoreError> {
        let unconfirmed =
            || StoreError::unavailable("a majority of MongoDB's servers did not confirm a write");
        if answer.contains_key("writeConcernError") {
            return Err(unconfirmed());
        }
        let documents =
            |field| answer.get_array(field).into_iter().flatten().filter_map(bson::Bson::as_document);
        let place = |document: &Document| {
            document.get_i32("index").ok().and_then(|index| usize::try_from(index).ok())
        };
        let mut outcome =
            Self { made: documents("upserted").filter_map(place).collect(), duplicates: Vec::new() };
        for error in documents("writeErrors") {
            match (error.get_i32("code"), place(error)) {
                (Ok(DUPLICATE_KEY), Some(index)) => outcome.duplicates.push(index),
                (Ok(code), _) => {
                    return Err(StoreError::unavailable(format!(
                        "MongoDB refuses a write with error {code}"
                    )));
                }
                (Err(_), _) => return Err(unconfirmed()),
            }
        }
        Ok(outcome)
    }
}

impl Collections {
    /// Makes these updates in order with one command: if it is interrupted, the first ones are done.
    pub(super) async fn update_in_order(
        &self,
        of: &Collection<Document>,
        mut updates: Vec<Document>,
    ) -> Result<(), StoreError> {
        for _ in 0..=updates.len() {
            let outcome = self.update_many_with_one_command(of, updates.clone(), true).await?;
            // Somebody made that document at the same time; it is found the next time.
            let Some(first) = outcome.duplicates.first() else { return Ok(()) };
            updates.drain(..*first);
        }
        Err(StoreError::unavailable("MongoDB refused an update again and again because of another one"))
    }

    async fn update_many_with_one_command(
        &self,
        of: &Collection<Document>,
        updates: Vec<Document>,
        ordered: bool,
    ) -> Result<Outcome, StoreError> {
        Outcome::read(&of.documents().update_many(updates, ordered).await?)
    }
}

async fn forget_old_devices(collections: &Collections, user: &str) -> Result<(), StoreError> {
    let pipeline = vec![
        doc! { "$match": { "user": user } },
        doc! { "$group": { "_id": "$device", "used": { "$max": "$used" } } },
        doc! { "$sort": { "used": -1, "_id": 1 } },
        doc! { "$skip": i64::try_from(DEVICES).expect("a small constant") },
    ];
    let old = collections.aggregate(&collections.device_cursors, pipeline).await?;
    let old: Vec<_> = old.iter().filter_map(|document| document.get_str("_id").ok()).collect();
    if old.is_empty() {
        return Ok(());
    }
    let filter = doc! { "user": user, "device": { "$in": old } };
    collections.device_cursors.documents().delete_all(filter).await?;
    Ok(())
}
