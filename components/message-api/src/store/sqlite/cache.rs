//! What the writer remembers of the file, so that appending to a busy conversation reads nothing.
//!
//! Everything in it was committed or is part of the transaction under way; when a transaction fails, or another process wrote
//! to the file, all of it is forgotten.

use std::sync::Arc;

use protocol::ConversationId;

use crate::store::recent::Recent;

/// Twice this many users and conversations are remembered: some 4 MiB when full.
const HALF: usize = 8192;

/// A user as the file knows them.
#[derive(Debug, Clone)]
pub(super) struct KnownUser {
    pub(super) id: i64,
    pub(super) name: Arc<str>,
}

/// The end of a conversation's log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) conversation: i64,
    pub(super) seq: u64,
    pub(super) at: i64,
    /// Users for whom `members.unread` is known to be 1. A dm has at most two.
    pub(super) unread: [Option<i64>; 2],
}

impl Head {
    pub(super) fn is_unread_for(&self, user: i64) -> bool {
        self.unread.contains(&Some(user))
    }

    pub(super) fn set_unread(&mut self, user: i64, unread: bool) {
        for place in &mut self.unread {
            if *place == Some(user) {
                *place = None;
            }
        }
        if unread && let Some(free) = self.unread.iter_mut().find(|place| place.is_none()) {
            *free = Some(user);
        }
    }
}

/// Bound: see [`Recent`].
#[derive(Debug)]
pub(super) struct Cache {
    /// By name key.
    pub(super) users: Recent<Arc<str>, KnownUser>,
    pub(super) heads: Recent<ConversationId, Head>,
    /// The commit order's last position.
    pub(super) pos: Option<i64>,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self { users: Recent::new(HALF), heads: Recent::new(HALF), pos: None }
    }

    pub(super) fn clear(&mut self) {
        self.users.clear();
        self.heads.clear();
        self.pos = None;
    }
}
