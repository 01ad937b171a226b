//! The first or last events of many logs at once: one index seek per conversation (a `DISTINCT_SCAN` of `log`), whatever their length.

use std::collections::HashMap;

use bson::{Document, doc};
use futures_util::{StreamExt, TryStreamExt, stream};
use protocol::ConversationId;

use super::collections::Collections;
use super::counted::Counted;
use super::document::damaged;
use crate::store::StoreError;

/// Conversations per query, because the size of BSON documents is limited.
pub(super) const MANY: usize = 1000;
/// Concurrent queries.
const PARALLEL: usize = 2;

/// The first or the last event of a log.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    pub(super) seq: i64,
    pub(super) order: i64,
    /// The sender's name key.
    pub(super) sender: String,
    /// `None` for an event of an earlier version.
    pub(super) counted: Option<Counted>,
}

/// The first or the last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Oldest,
    Newest,
}

/// The first or last events of those conversations that have any.
pub(super) async fn edges(
    collections: &Collections,
    conversations: &[ConversationId],
    side: Side,
) -> Result<HashMap<ConversationId, Edge>, StoreError> {
    let sort = match side {
        Side::Newest => doc! { "conversation": 1, "seq": -1 },
        // The same index backwards.
        Side::Oldest => doc! { "conversation": -1, "seq": 1 },
    };
    let asked = conversations.chunks(MANY).map(|some| {
        let keys: Vec<&str> = some.iter().map(ConversationId::as_str).collect();
        let first = |field: &str| doc! { "$first": format!("${field}") };
        let pipeline = vec![
            doc! { "$match": { "conversation": { "$in": keys } } },
            doc! { "$sort": sort.clone() },
            doc! { "$group": {
                "_id": "$conversation", "seq": first("seq"), "at": first("at"), "sender_key": first("sender_key"),
                "ordinal": first("ordinal"), "sent": first("sent"),
            } },
        ];
        collections.aggregate(&collections.events, pipeline)
    });
    let asked: Vec<_> = asked.collect();
    let mut answers = stream::iter(asked).buffered(PARALLEL);
    let mut edges = HashMap::with_capacity(conversations.len());
    while let Some(documents) = answers.try_next().await? {
        for document in documents {
            let (id, edge) = edge(&document)?;
            edges.insert(id, edge);
        }
    }
    Ok(edges)
}

fn edge(document: &Document) -> Result<(ConversationId, Edge), StoreError> {
    let number = |field| document.get_i64(field).map_err(damaged);
    let id = ConversationId::parse(document.get_str("_id").map_err(damaged)?).map_err(damaged)?;
    let sender = document.get_str("sender_key").map_err(damaged)?.to_owned();
    let numbers = number("ordinal").ok().zip(number("sent").ok());
    let counted = numbers.map(|(ordinal, sent)| Counted::read(&id, &sender, ordinal, sent));
    Ok((id, Edge { seq: number("seq")?, order: number("at")?, sender, counted }))
}
