//! What the writer remembers of the file, so that appending to a busy conversation reads nothing.
//!
//! Everything in it was committed or is part of the transaction under way; when a transaction fails, or another process wrote
//! to the file, all of it is forgotten.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use protocol::ConversationId;

use super::row::Counted;

/// So many users and so many conversations are remembered, the ones used last: some 4 MiB when full.
const KNOWN: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();

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
    /// Of the last event, or the last place that was given away.
    pub(super) seq: u64,
    /// The last event.
    pub(super) last: Counted,
    /// The users of a direct conversation. A room's are not kept here.
    pub(super) members: [Option<Member>; 2],
}

/// One user in a conversation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) user: i64,
    /// `members.unread` is 1.
    pub(super) unread: bool,
    /// The last event that came in for the user, where it is known.
    pub(super) last: Option<u64>,
}

impl Head {
    /// For whom something comes in that this user says.
    pub(super) fn receiver_mut(&mut self, sender: i64) -> Option<&mut Member> {
        let other = self.members.iter().position(|member| member.is_some_and(|member| member.user != sender));
        self.members[other.unwrap_or(0)].as_mut()
    }

    pub(super) fn member_mut(&mut self, user: i64) -> Option<&mut Member> {
        self.members.iter_mut().flatten().find(|member| member.user == user)
    }

    /// Whether there may be an event for a user past `seq`: yes where the last one is not known and anything is.
    pub(super) fn may_have_after(&self, user: i64, seq: u64) -> bool {
        let member = self.members.iter().flatten().find(|member| member.user == user);
        member.and_then(|member| member.last).unwrap_or(self.seq) > seq
    }
}

/// Bound: [`KNOWN`].
#[derive(Debug)]
pub(super) struct Cache {
    /// By name key.
    pub(super) users: LruCache<Arc<str>, KnownUser>,
    pub(super) heads: LruCache<ConversationId, Head>,
    /// The commit order's last position.
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
