//! The ends of the logs, with what was counted up to them.

use std::collections::HashMap;

use protocol::ConversationId;

use super::collections::Collections;
use super::counted::Counted;
use super::document::damaged;
use super::edges::{Side, edges};
use super::numbering;
use crate::store::StoreError;

/// How often the end of a log is numbered and then ends with an event without numbers again.
const ATTEMPTS: usize = 3;

/// The last event of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seq: u64,
    /// Its place in the order of all conversations' events.
    pub(super) order: i64,
    /// What was counted up to it.
    pub(super) counted: Counted,
}

/// The last events of those conversations that have any. What an earlier version stored in them is numbered before.
pub(super) async fn heads<'c>(
    collections: &Collections,
    conversations: impl Iterator<Item = &'c ConversationId>,
) -> Result<HashMap<ConversationId, Head>, StoreError> {
    let mut asked: Vec<ConversationId> = conversations.cloned().collect();
    let mut heads = HashMap::with_capacity(asked.len());
    for _ in 0..ATTEMPTS {
        let mut unnumbered = Vec::new();
        for (id, edge) in edges(collections, &asked, Side::Newest).await? {
            match edge.counted {
                Some(counted) => {
                    let seq = u64::try_from(edge.seq).map_err(damaged)?;
                    heads.insert(id, Head { seq, order: edge.order, counted });
                }
                None => unnumbered.push(id),
            }
        }
        if unnumbered.is_empty() {
            return Ok(heads);
        }
        numbering::number(collections, unnumbered.clone(), &numbering::Done::default()).await?;
        asked = unnumbered;
    }
    Err(StoreError::unavailable(
        "a program of an earlier version stores messages in the same MongoDB database; stop or update it",
    ))
}
