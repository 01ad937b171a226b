//! What the writer remembers of the file, so that appending to a busy conversation reads nothing.
//!
//! Everything in it was committed or is part of the transaction under way; when a transaction fails, or another process wrote
//! to the file, all of it is forgotten.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use protocol::ConversationId;

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
    pub(super) seq: u64,
    /// What is known of its users. A dm has at most two.
    pub(super) members: [Option<Member>; 2],
}

/// What is known of one user in a conversation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    user: i64,
    /// `members.unread` is known to be 1.
    unread: bool,
    /// The last event for the user.
    last: Option<u64>,
}

impl Head {
    /// The end of a log, with nothing known of its users.
    pub(super) fn new(conversation: i64, seq: u64) -> Self {
        Self { conversation, seq, members: [None; 2] }
    }

    fn member(&self, user: i64) -> Option<&Member> {
        self.members.iter().flatten().find(|member| member.user == user)
    }

    fn member_mut(&mut self, user: i64) -> Option<&mut Member> {
        let known = self.members.iter().position(|place| place.is_some_and(|member| member.user == user));
        let place = known.or_else(|| self.members.iter().position(Option::is_none))?;
        Some(self.members[place].get_or_insert(Member { user, unread: false, last: None }))
    }

    /// Whether it is known that something is unread for a user.
    pub(super) fn is_unread_for(&self, user: i64) -> bool {
        self.member(user).is_some_and(|member| member.unread)
    }

    pub(super) fn set_unread(&mut self, user: i64, unread: bool) {
        if let Some(member) = self.member_mut(user) {
            member.unread = unread;
        }
    }

    /// The event at this place is the last for a user.
    pub(super) fn set_last(&mut self, user: i64, seq: u64) {
        if let Some(member) = self.member_mut(user) {
            member.last = Some(seq);
        }
    }

    /// Whether there may be an event for a user past `seq`: yes where the last one is not known and anything is.
    pub(super) fn may_have_after(&self, user: i64, seq: u64) -> bool {
        self.member(user).and_then(|member| member.last).unwrap_or(self.seq) > seq
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
