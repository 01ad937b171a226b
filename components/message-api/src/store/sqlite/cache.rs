//! What the writer remembers of the file, so that appending to a busy conversation reads nothing.
//!
//! Everything in it was committed or is part of the current transaction; if a transaction fails, or another process wrote to the file, the
//! cache is cleared.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use protocol::ConversationId;

use super::row::Counted;

/// The number of users and of conversations remembered, most recently used; about 4 MiB when full.
const KNOWN: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();

/// A user's row.
#[derive(Debug, Clone)]
pub(super) struct KnownUser {
    pub(super) id: i64,
    pub(super) name: Arc<str>,
}

/// The end of a conversation's log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) conversation: i64,
    /// The `seq` of the last event, or the last one assigned.
    pub(super) seq: u64,
    /// The counts of the last event.
    pub(super) last: Counted,
    /// The users of a direct conversation; empty for rooms.
    pub(super) members: [Option<Member>; 2],
}

/// A user in a conversation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) user: i64,
    /// Whether `members.unread` is 1.
    pub(super) unread: bool,
    /// The last event for the user, if known.
    pub(super) last: Option<u64>,
}

impl Head {
    /// The member for whom this user's messages count as unread.
    pub(super) fn receiver_mut(&mut self, sender: i64) -> Option<&mut Member> {
        let other = self.members.iter().position(|member| member.is_some_and(|member| member.user != sender));
        self.members[other.unwrap_or(0)].as_mut()
    }

    pub(super) fn member_mut(&mut self, user: i64) -> Option<&mut Member> {
        self.members.iter_mut().flatten().find(|member| member.user == user)
    }

    /// Whether there may be an event for a user after `seq`: assumed if the last one is not known.
    pub(super) fn may_have_after(&self, user: i64, seq: u64) -> bool {
        let member = self.members.iter().flatten().find(|member| member.user == user);
        member.and_then(|member| member.last).unwrap_or(self.seq) > seq
    }
}

/// Bound: [`KNOWN`] per cache.
#[derive(Debug)]
pub(super) struct Cache {
    /// By name key.
    pub(super) users: LruCache<Arc<str>, KnownUser>,
    pub(super) heads: LruCache<ConversationId, Head>,
    /// The last position of the commit order.
    pub(super) pos: Option<i64>,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self { users: LruCache::sparse(KNOWN), heads: LruCache::sparse(KNOWN), pos: None }
    }

    pub(super) fn clear(&mut self) {
        self.users.clear();
        self.heads.clear();
        self.pos = None;
    }
}
