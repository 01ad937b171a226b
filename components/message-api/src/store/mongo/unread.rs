//! The number of unread messages per conversation.
//!
//! Membership is in the conversation's entry, `members`; the position in the cursor: `seen`, its order `seen_at`, and `incoming`, the
//! number of messages for the user up to there. All three increase along the log. So the number of unread messages is that of messages up
//! to the head, minus `incoming`: no event but the head is read for it, and nothing is written per member when a message is stored.

use std::collections::HashMap;

use bson::{Document, doc};
use mongo_client::FindOptions;
use protocol::api::CursorMove;
use protocol::{ConversationId, UserName};

use super::collections::Collections;
use super::counted::Counted;
use super::cursor_moves;
use super::document::damaged;
use super::edges::{Side, edges};
use super::heads::{Head, heads};
use super::numbering;
use super::records::ours;
use crate::store::StoreError;

/// A user in a conversation with events.
#[derive(Debug, Clone)]
pub(super) struct Membership {
    pub(super) conversation: ConversationId,
    pub(super) head: Head,
    pub(super) cursor: Cursor,
    /// Events before this one were deleted.
    begin: i64,
    pub(super) unread: u64,
}

/// A user's cursor in a conversation.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    pub(super) seq: i64,
    /// The order of that event.
    pub(super) order: i64,
    /// `None` if an earlier version moved it.
    incoming: Option<i64>,
}

/// All of a user's conversations with events.
pub(super) async fn memberships(
    collections: &Collections,
    user: &UserName,
) -> Result<Vec<Membership>, StoreError> {
    let with_heads = async {
        let conversations = conversations(collections, user).await?;
        let heads = heads(collections, conversations.keys()).await?;
        Ok((conversations, heads))
    };
    let ((conversations, mut heads), mut cursors) = tokio::try_join!(with_heads, cursors(collections, user))?;
    let mut memberships: Vec<Membership> = conversations
        .into_iter()
        .filter_map(|(conversation, begin)| {
            let head = heads.remove(&conversation)?;
            let cursor = cursors.remove(conversation.as_str()).unwrap_or(Cursor::START);
            Some(Membership { conversation, head, cursor, begin, unread: 0 })
        })
        .collect();
    count_cursors(collections, user, &mut memberships).await?;
    for each in &mut memberships {
        each.count(user, 0);
    }
    skip_removed(collections, user, &mut memberships).await?;
    Ok(memberships)
}

/// The user's conversations, and where each begins.
async fn conversations(
    collections: &Collections,
    user: &UserName,
) -> Result<HashMap<ConversationId, i64>, StoreError> {
    let fields = FindOptions::new().projection(doc! { "begin": 1 });
    let own = doc! { "members": user.key() };
    let found = collections.find(&collections.conversations, own, fields).await?;
    let read = |document: &Document| {
        let id = document.get_str("_id").map_err(damaged)?;
        Ok((ConversationId::parse(id).map_err(damaged)?, document.get_i64("begin").unwrap_or(0)))
    };
    Ok(found.iter().filter_map(|document| ours("conversations", document, read(document))).collect())
}

async fn cursors(collections: &Collections, user: &UserName) -> Result<HashMap<String, Cursor>, StoreError> {
    let found = collections.find(&collections.cursors, doc! { "user": user.key() }, None).await?;
    let read = |document: &Document| -> Result<_, bson::error::Error> {
        let incoming = document.get_i64("incoming").ok();
        let cursor = Cursor { seq: document.get_i64("seen")?, order: document.get_i64("seen_at")?, incoming };
        Ok((document.get_str("conversation")?.to_owned(), cursor))
    };
    found.iter().map(|document| read(document).map_err(damaged)).collect()
}

/// Counts for the cursors that an earlier version moved.
async fn count_cursors(
    collections: &Collections,
    user: &UserName,
    memberships: &mut [Membership],
) -> Result<(), StoreError> {
    let mut uncounted: Vec<&mut Membership> =
        memberships.iter_mut().filter(|each| each.cursor.incoming.is_none()).collect();
    let cursor = |each: &&mut Membership| CursorMove {
        user: user.clone(),
        device: None,
        conversation: each.conversation.clone(),
        seq: each.cursor.seq.unsigned_abs(),
    };
    let moves: Vec<CursorMove> = uncounted.iter().map(cursor).collect();
    let counts = cursor_moves::count(collections, &moves).await?;
    for (each, count) in uncounted.iter_mut().zip(counts) {
        each.cursor.incoming = Some(count);
    }
    Ok(())
}

/// If the beginning of a log was deleted and the cursor is before the rest, counts from there on.
async fn skip_removed(
    collections: &Collections,
    user: &UserName,
    memberships: &mut [Membership],
) -> Result<(), StoreError> {
    let is_before = |each: &&mut Membership| each.unread > 0 && each.cursor.seq < each.begin - 1;
    let mut before: Vec<&mut Membership> = memberships.iter_mut().filter(is_before).collect();
    let ids: Vec<ConversationId> = before.iter().map(|each| each.conversation.clone()).collect();
    let mut firsts = edges(collections, &ids, Side::Oldest).await?;
    let bare = firsts.iter().filter(|(_, first)| first.counted.is_none());
    let bare: Vec<_> = bare.map(|(id, first)| (id.clone(), first.seq)).collect();
    for ((id, _), counted) in bare.iter().zip(numbering::counted_at(collections, &bare).await?) {
        if let Some(first) = firsts.get_mut(id) {
            first.counted = Some(counted);
        }
    }
    for each in &mut before {
        let Some(first) = firsts.get(&each.conversation) else { continue };
        let came_in = |counted: Counted| counted.received_by(&each.conversation, user.key());
        let own = first.sender == user.key() && !each.conversation.is_note_to_self();
        let removed = first.counted.map_or(0, came_in) - i64::from(!own);
        each.count(user, removed);
    }
    Ok(())
}

impl Cursor {
    /// Nothing is read.
    const START: Self = Self { seq: 0, order: 0, incoming: Some(0) };
}

impl Membership {
    /// Counts the messages after the cursor, and after `removed` deleted ones.
    fn count(&mut self, user: &UserName, removed: i64) {
        let all = self.head.counted.received_by(&self.conversation, user.key());
        let seen = self.cursor.incoming.unwrap_or(0).max(removed);
        self.unread = u64::try_from(all - seen).unwrap_or(0);
    }
}
