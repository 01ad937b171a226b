//! Delivers each event to the sessions concerned, and knows which those are.
//!
//! The life of an event: [`Hub::dispatch`], in the feed's order → the recipient's sessions → the sender's other sessions that mirror it →
//! each one's inbox, where it is queued or left to the store. Nothing here waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kit::Secret;
use protocol::api::FeedPosition;
use protocol::{ConversationId, Event, UserName};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::delivery::inbox::{Backlog, QueueLimits};
use crate::delivery::rendered::Rendered;
use crate::delivery::session_handle::SessionHandle;
use crate::dialect::Dialect;
use crate::directory::roster::{Claim, JoinError, Joined, Roster};

/// The maximum number of events queued for one session; the configuration bounds their bytes.
const QUEUED_EVENTS: usize = 2048;

/// The sessions of each user, and the position of the feed.
#[derive(Debug)]
pub(crate) struct Hub {
    roster: RwLock<Roster<Arc<SessionHandle>>>,
    /// Set after the last event was dispatched, so that a reader of the position knows that the event was offered.
    position: Mutex<Option<FeedPosition>>,
    /// The id of the store's log.
    log: Mutex<Option<Uuid>>,
    /// The index of the last announced presence change.
    announced: watch::Sender<u64>,
    ids: AtomicU64,
    bounds: QueueLimits,
}

/// A session's entry in the roster, removed when dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    hub: Arc<Hub>,
    pub(crate) name: UserName,
    /// The rest of the server reaches the session through it.
    pub(crate) handle: Arc<SessionHandle>,
    /// Grants access to the name to further sessions.
    pub(crate) token: Secret,
    /// The index of the last presence change that the client knows.
    pub(crate) presence: u64,
    has_left: bool,
}

impl Hub {
    /// Without sessions. At most `outbox_bytes` are queued for one session.
    pub(crate) fn new(outbox_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            roster: RwLock::default(),
            position: Mutex::default(),
            log: Mutex::default(),
            announced: watch::Sender::new(0),
            ids: AtomicU64::new(0),
            bounds: QueueLimits::new(QUEUED_EVENTS, outbox_bytes),
        })
    }

    fn roster(&self) -> RwLockReadGuard<'_, Roster<Arc<SessionHandle>>> {
        self.roster.read().expect("nobody panics while holding this lock")
    }

    fn roster_mut(&self) -> RwLockWriteGuard<'_, Roster<Arc<SessionHandle>>> {
        self.roster.write().expect("nobody panics while holding this lock")
    }

    /// Adds a session that must read `backlog` first.
    pub(crate) fn join(
        self: &Arc<Self>,
        name: &UserName,
        claim: Claim<'_>,
        dialect: Dialect,
        backlog: Backlog,
    ) -> Result<Membership, JoinError> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let (account, own_token) = match claim {
            Claim::Account { id, token } => (Some(id), Some(token)),
            Claim::None | Claim::Token(_) | Claim::Service => (None, None),
        };
        let handle = SessionHandle::new(id, dialect, self.bounds.clone(), backlog, account);
        // Without the system's randomness nobody joins: a token that can be guessed would open the name to everybody.
        let token = Secret::random().map_err(|_| JoinError::TooMany)?;
        let mut roster = self.roster_mut();
        let Joined { name, token, presence } = roster.join(name, claim, &handle, token)?;
        drop(roster);
        // Further sessions of an account log in with a token of it, never with the name's.
        let token = own_token.map_or(token, |own_token| Secret::new(own_token.to_owned()));
        Ok(Membership { hub: Arc::clone(self), name, handle, token, presence, has_left: false })
    }

    /// Closes a user's sessions that `admits` rejects: it is asked with the id of the account's token that each logged in with, if any.
    pub(crate) fn revoke(&self, name: &UserName, admits: impl Fn(Option<Uuid>) -> bool) {
        let roster = self.roster();
        let sessions = roster.sessions(name).iter();
        sessions.filter(|session| !admits(session.account)).for_each(|session| session.revoke());
    }

    /// Delivers an event. `received` is when its message arrived here, if known.
    pub(crate) fn dispatch(&self, event: Event, received: Option<Instant>, at: FeedPosition) {
        let roster = self.roster();
        let to_self = event.conversation.is_note_to_self();
        let receivers = event.dm_receiver().map_or(&[][..], |key| roster.sessions_of(key));
        // Nearly always one: a list of none takes no memory.
        let (receiver, more) = receivers
            .split_first()
            .map_or((None, Vec::new()), |(one, more)| (Some(Arc::clone(one)), more.to_vec()));
        let senders: Vec<_> =
            if to_self { Vec::new() } else { mirrors(&roster, &event.sender).cloned().collect() };
        drop(roster);
        if receiver.is_some() || !senders.is_empty() {
            let event = Arc::new(Rendered::new(event, received));
            receiver.iter().chain(&more).for_each(|handle| handle.deliver(&event, false, at));
            senders.iter().for_each(|handle| handle.deliver(&event, true, at));
        }
        self.set_position(at);
    }

    /// A user has read a conversation outside of any session, such as over REST.
    pub(crate) fn was_seen(
        &self,
        user: &UserName,
        conversation: &ConversationId,
        seq: u64,
        at: FeedPosition,
    ) {
        let sessions: Vec<_> = mirrors(&self.roster(), user).cloned().collect();
        sessions.iter().for_each(|handle| handle.tell_seen(conversation, seq));
        self.tell_delivered(user, conversation, seq);
        self.set_position(at);
    }

    /// The id of the store's log, if known.
    pub(crate) fn log(&self) -> Option<Uuid> {
        *self.log.lock().expect("nobody panics while holding this lock")
    }

    /// Sets the id of the store's log. Clients that hold cursors of another log must reconnect and start again.
    pub(crate) fn set_log(&self, log: Uuid) {
        let before = self.log.lock().expect("nobody panics while holding this lock").replace(log);
        if before.is_some_and(|before| before != log) {
            tracing::warn!("the store was replaced or restored; clients start over");
        }
        let roster = self.roster();
        roster
            .all()
            .filter(|handle| handle.remembers_other_log(log))
            .for_each(|handle| handle.require_reconnect());
    }

    /// A feed began at this position and may have lost events: every session reads from the store.
    pub(crate) fn restart(&self, at: FeedPosition) {
        self.set_position(at);
        let sessions: Vec<_> = self.roster().all().cloned().collect();
        sessions.iter().for_each(|handle| handle.mark_lost());
    }

    fn set_position(&self, at: FeedPosition) {
        *self.position.lock().expect("nobody panics while holding this lock") = Some(at);
    }

    /// Whether everything up to a position of the feed was dispatched.
    pub(crate) fn has_passed(&self, position: FeedPosition) -> bool {
        let here = *self.position.lock().expect("nobody panics while holding this lock");
        here.is_some_and(|here| here.epoch == position.epoch && here.index >= position.index)
    }

    /// Passes the other users online, in order of login, to `show`, which holds a lock and must be short.
    pub(crate) fn with_others<T>(
        &self,
        name: &UserName,
        show: impl FnOnce(&mut dyn Iterator<Item = &UserName>) -> T,
    ) -> T {
        show(&mut self.roster().others(name))
    }

    /// Makes a user's sessions probe their peers.
    pub(crate) fn challenge(&self, name: &UserName) {
        self.roster().sessions(name).iter().for_each(|handle| handle.challenge());
    }

    /// Whether the peer of one of a user's sessions has answered since the challenge.
    pub(crate) fn is_alive(&self, name: &UserName) -> bool {
        self.roster().sessions(name).iter().any(|handle| handle.is_alive())
    }

    /// Whether a user is online.
    pub(crate) fn is_online(&self, name: &UserName) -> bool {
        self.roster().is_online(name)
    }

    /// Tells a user's other sessions that one of them has shown a conversation.
    pub(crate) fn tell_seen(&self, by: &Membership, conversation: &ConversationId, seq: u64) {
        let others: Vec<_> =
            mirrors(&self.roster(), &by.name).filter(|s| s.id != by.handle.id).cloned().collect();
        others.iter().for_each(|handle| handle.tell_seen(conversation, seq));
    }

    /// Tells the other user's sessions that want receipts that a user has a conversation up to here.
    pub(crate) fn tell_delivered(&self, to: &UserName, conversation: &ConversationId, seq: u64) {
        // A note to self is not delivered to anybody else.
        let Some(Ok(sender)) = conversation.dm_partner(to).map(UserName::parse) else { return };
        if sender == *to {
            return;
        }
        let sessions: Vec<_> =
            mirrors(&self.roster(), &sender).filter(|handle| handle.wants_receipts()).cloned().collect();
        sessions.iter().for_each(|handle| handle.tell_delivered(conversation, seq));
    }

    /// Notifies about new presence changes.
    pub(crate) fn watch_presence(&self) -> watch::Receiver<u64> {
        self.announced.subscribe()
    }

    /// Announces new presence changes; called a few times a second, so that many changes wake each session once.
    pub(crate) fn announce_presence(&self) {
        let latest = self.roster().presence().latest();
        self.announced.send_if_modified(|announced| std::mem::replace(announced, latest) != latest);
    }

    /// The first `limit` presence changes after an index.
    pub(crate) fn presence_since(&self, index: u64, limit: usize) -> Vec<(u64, UserName, bool)> {
        self.roster().presence().since(index, limit)
    }

    /// The number of sessions and of users.
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.roster().counts()
    }
}

/// A user's sessions that mirror what the user sends and reads in others.
fn mirrors<'r>(
    roster: &'r Roster<Arc<SessionHandle>>,
    name: &UserName,
) -> impl Iterator<Item = &'r Arc<SessionHandle>> + use<'r> {
    roster.sessions(name).iter().filter(|session| session.dialect.capabilities().mirrors)
}

impl Membership {
    /// All users online in order of login, this user last even if an older session of theirs exists. Later presence changes are new to this
    /// session.
    pub(crate) fn online(&mut self) -> Vec<UserName> {
        let roster = self.hub.roster();
        let mut online: Vec<UserName> = roster.others(&self.name).cloned().collect();
        online.push(self.name.clone());
        self.presence = roster.presence().latest();
        online
    }

    /// Passes the names of those who logged in before this user, and theirs last, to `show`, which holds a lock and must be short.
    pub(crate) fn show_online<T>(&self, show: impl FnOnce(&str) -> T) -> T {
        show(self.hub.roster().online_names().up_to(&self.name))
    }
}

impl Membership {
    /// Leaves the roster before the session is over, which may still process input of its peer. Idempotent.
    pub(crate) fn leave(&mut self) {
        if !std::mem::replace(&mut self.has_left, true) {
            self.hub.roster_mut().leave(&self.name, &self.handle);
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests;
