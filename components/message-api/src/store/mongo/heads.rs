//! The ends of the logs, with the counts up to them.

use std::collections::HashMap;

use protocol::ConversationId;

use super::checkpoints;
use super::collections::Collections;
use super::counted::Counted;
use super::document::damaged;
use super::edges::{Edge, Side, edges};
use super::numbering;
use crate::store::StoreError;

/// Attempts to count a log whose end keeps changing to an uncounted event.
const ATTEMPTS: usize = 3;

/// The last event of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seq: u64,
    /// Its position in the order over all conversations.
    pub(super) order: i64,
    /// The counts up to it.
    pub(super) counted: Counted,
}

/// The last events of those conversations that have any. Events of an earlier version are counted first.
pub(super) async fn heads<'c>(
    collections: &Collections,
    conversations: impl Iterator<Item = &'c ConversationId>,
) -> Result<HashMap<ConversationId, Head>, StoreError> {
    let mut asked: Vec<ConversationId> = conversations.cloned().collect();
    let mut heads = HashMap::with_capacity(asked.len());
    for _ in 0..ATTEMPTS {
        let (mut bare, mut uncounted) = (Vec::new(), Vec::new());
        for (id, edge) in edges(collections, &asked, Side::Newest).await? {
            match edge.counted {
                Some(counted) => drop(heads.insert(id, Head::new(&edge, counted)?)),
                None => bare.push((id, edge)),
            }
        }
        asked.clear();
        let there = checkpoints::at(collections, bare.iter().map(|(id, edge)| (id, edge.seq))).await?;
        for (id, edge) in bare {
            match there.get(&checkpoints::key(&id, edge.seq)) {
                Some(checkpoint) if checkpoint.last == edge.seq => {
                    heads.insert(id, Head::new(&edge, checkpoint.counted)?);
                }
                found => {
                    if found.is_none_or(|checkpoint| checkpoint.last < edge.seq) {
                        uncounted.push((id.clone(), edge.seq));
                    }
                    asked.push(id);
                }
            }
        }
        if asked.is_empty() {
            return Ok(heads);
        }
        numbering::number(collections, uncounted, &numbering::Done::default()).await?;
    }
    Err(StoreError::unavailable(
        "a program of an earlier version stores messages in the same MongoDB database; stop or update it",
    ))
}

impl Head {
    fn new(edge: &Edge, counted: Counted) -> Result<Self, StoreError> {
        Ok(Self { seq: u64::try_from(edge.seq).map_err(damaged)?, order: edge.order, counted })
    }
}
