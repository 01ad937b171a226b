//! Brings each event to the sessions it concerns, and knows who they are.
//!
//! The life of an event: [`Hub::dispatch`], in the feed's order → its receiver's sessions → the sender's other sessions that mirror it
//! → each one's inbox, where it is queued or left to the store. Nothing here waits for anybody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kit::Secret;
use protocol::api::FeedPosition;
use protocol::{ConversationId, Event, UserName};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::delivery::inbox::{Backlog, Bounds};
use crate::delivery::outlet::Outlet;
use crate::delivery::rendered::Rendered;
use crate::dialect::Dialect;
use crate::directory::roster::{Claim, JoinError, Joined, Roster};

/// Most events that wait for one session; bytes are bounded by the configuration.
const QUEUED_EVENTS: usize = 2048;

/// Sessions by user, and how far the feed has come.
#[derive(Debug)]
pub(crate) struct Hub {
    roster: RwLock<Roster<Arc<Outlet>>>,
    /// Set behind the last dispatched event, so that whoever reads it knows that event was offered.
    position: Mutex<Option<FeedPosition>>,
    /// Which log the store keeps.
    log: Mutex<Option<Uuid>>,
    /// The last change of presence that was announced.
    announced: watch::Sender<u64>,
    ids: AtomicU64,
    bounds: Bounds,
}

/// A session's place among the others. Leaves when it is dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    hub: Arc<Hub>,
    /// The user.
    pub(crate) name: UserName,
    /// The session's mailbox.
    pub(crate) outlet: Arc<Outlet>,
    /// Opens the name to further sessions.
    pub(crate) token: Secret,
    /// Changes of presence after this one are news.
    pub(crate) presence: u64,
    has_left: bool,
}

impl Hub {
    /// Nobody is there. At most `outbox_bytes` wait for one session.
    pub(crate) fn new(outbox_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            roster: RwLock::default(),
            position: Mutex::default(),
            log: Mutex::default(),
            announced: watch::Sender::new(0),
            ids: AtomicU64::new(0),
            bounds: Bounds::new(QUEUED_EVENTS, outbox_bytes),
        })
    }

    fn roster(&self) -> RwLockReadGuard<'_, Roster<Arc<Outlet>>> {
        self.roster.read().expect("nobody panics while holding this lock")
    }

    fn roster_mut(&self) -> RwLockWriteGuard<'_, Roster<Arc<Outlet>>> {
        self.roster.write().expect("nobody panics while holding this lock")
    }

    /// Adds a session that has `backlog` to read first.
    pub(crate) fn join(
        self: &Arc<Self>,
        name: &UserName,
        claim: Claim<'_>,
        dialect: Dialect,
        backlog: Backlog,
    ) -> Result<Membership, JoinError> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let outlet = Outlet::new(id, dialect, self.bounds.clone(), backlog);
        // Without randomness from the system nobody joins: a token that can be guessed opens the name to everybody.
        let token = Secret::random().map_err(|_| JoinError::TooMany)?;
        let mut roster = self.roster_mut();
        let Joined { name, token, presence } = roster.join(name, claim, &outlet, token)?;
        drop(roster);
        Ok(Membership { hub: Arc::clone(self), name, outlet, token, presence, has_left: false })
    }

    /// Brings an event to the sessions it concerns. `received` is when its message came in, where that is known.
    pub(crate) fn dispatch(&self, event: Event, received: Option<Instant>, at: FeedPosition) {
        let roster = self.roster();
        let to_self = event.conversation.is_note_to_self();
        let receivers = event.dm_receiver().map_or(&[][..], |key| roster.sessions_of(key)).to_vec();
        let senders: Vec<_> =
            if to_self { Vec::new() } else { mirrors(&roster, &event.sender).cloned().collect() };
        drop(roster);
        if !receivers.is_empty() || !senders.is_empty() {
            let event = Arc::new(Rendered::new(event, received));
            receivers.iter().for_each(|outlet| outlet.deliver(&event, false, at));
            senders.iter().for_each(|outlet| outlet.deliver(&event, true, at));
        }
        self.set_position(at);
    }

    /// A user has seen a conversation in a way of which no session knows.
    pub(crate) fn was_seen(
        &self,
        user: &UserName,
        conversation: &ConversationId,
        seq: u64,
        at: FeedPosition,
    ) {
        let sessions: Vec<_> = mirrors(&self.roster(), user).cloned().collect();
        sessions.iter().for_each(|outlet| outlet.tell_seen(conversation, seq));
        self.tell_delivered(user, conversation, seq);
        self.set_position(at);
    }

    /// The log that the store keeps, where that is known.
    pub(crate) fn log(&self) -> Option<Uuid> {
        *self.log.lock().expect("nobody panics while holding this lock")
    }

    /// The store keeps this log. Clients that remember places in another one are sent away, to begin anew.
    pub(crate) fn set_log(&self, log: Uuid) {
        let before = self.log.lock().expect("nobody panics while holding this lock").replace(log);
        if before.is_some_and(|before| before != log) {
            tracing::warn!("the store was replaced or restored; clients start over");
        }
        let roster = self.roster();
        roster.all().filter(|outlet| outlet.remembers_other_log(log)).for_each(|outlet| outlet.send_away());
    }

    /// A feed began here and may have lost events: every session reads from the store.
    pub(crate) fn restart(&self, at: FeedPosition) {
        self.set_position(at);
        let sessions: Vec<_> = self.roster().all().cloned().collect();
        sessions.iter().for_each(|outlet| outlet.lose());
    }

    fn set_position(&self, at: FeedPosition) {
        *self.position.lock().expect("nobody panics while holding this lock") = Some(at);
    }

    /// Whether everything up to a position of the feed was dispatched.
    pub(crate) fn has_passed(&self, position: FeedPosition) -> bool {
        let here = *self.position.lock().expect("nobody panics while holding this lock");
        here.is_some_and(|here| here.epoch == position.epoch && here.index >= position.index)
    }

    /// Shows the others online, in the order they came, to `show`, which must not keep long.
    pub(crate) fn with_others<T>(
        &self,
        name: &UserName,
        show: impl FnOnce(&mut dyn Iterator<Item = &UserName>) -> T,
    ) -> T {
        show(&mut self.roster().others(name))
    }

    /// Has a user's sessions find out whether their peers live.
    pub(crate) fn challenge(&self, name: &UserName) {
        self.roster().sessions(name).iter().for_each(|outlet| outlet.challenge());
    }

    /// Whether the peer of one of a user's sessions has shown life since they were challenged.
    pub(crate) fn lives(&self, name: &UserName) -> bool {
        self.roster().sessions(name).iter().any(|outlet| outlet.lives())
    }

    /// Whether a user is online.
    pub(crate) fn is_online(&self, name: &UserName) -> bool {
        self.roster().is_online(name)
    }

    /// One of a user's sessions has shown a conversation; the others are told.
    pub(crate) fn tell_seen(&self, by: &Membership, conversation: &ConversationId, seq: u64) {
        let others: Vec<_> =
            mirrors(&self.roster(), &by.name).filter(|s| s.id != by.outlet.id).cloned().collect();
        others.iter().for_each(|outlet| outlet.tell_seen(conversation, seq));
    }

    /// A user has a conversation up to here: the other user's sessions that want to know are told.
    pub(crate) fn tell_delivered(&self, to: &UserName, conversation: &ConversationId, seq: u64) {
        // What one says to oneself is not delivered to anybody else.
        let Some(Ok(sender)) = conversation.dm_partner(to).map(UserName::parse) else { return };
        if sender == *to {
            return;
        }
        let sessions: Vec<_> =
            mirrors(&self.roster(), &sender).filter(|outlet| outlet.wants_receipts()).cloned().collect();
        sessions.iter().for_each(|outlet| outlet.tell_delivered(conversation, seq));
    }

    /// Says when there are changes of presence to be asked for.
    pub(crate) fn watch_presence(&self) -> watch::Receiver<u64> {
        self.announced.subscribe()
    }

    /// Announces what changed since the last time; called a few times a second, so that many changes wake everybody once.
    pub(crate) fn announce_presence(&self) {
        let latest = self.roster().presence().latest();
        self.announced.send_if_modified(|announced| std::mem::replace(announced, latest) != latest);
    }

    /// The first `limit` changes of presence after an index.
    pub(crate) fn presence_since(&self, index: u64, limit: usize) -> Vec<(u64, UserName, bool)> {
        self.roster().presence().since(index, limit)
    }

    /// How many sessions and users there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.roster().counts()
    }
}

/// A user's sessions that show what the user says and reads elsewhere.
fn mirrors<'r>(
    roster: &'r Roster<Arc<Outlet>>,
    name: &UserName,
) -> impl Iterator<Item = &'r Arc<Outlet>> + use<'r> {
    roster.sessions(name).iter().filter(|session| session.dialect.manner().mirrors)
}

impl Membership {
    /// Everyone online in the order they came, this user last even where an older session of theirs is there. Later changes of presence
    /// are news.
    pub(crate) fn online(&mut self) -> Vec<UserName> {
        let roster = self.hub.roster();
        let mut online: Vec<UserName> = roster.others(&self.name).cloned().collect();
        online.push(self.name.clone());
        self.presence = roster.presence().latest();
        online
    }

    /// The names of those who came before this user, and theirs last, as a text that `show` must not keep long.
    pub(crate) fn show_online<T>(&self, show: impl FnOnce(&str) -> T) -> T {
        show(self.hub.roster().listing().up_to(&self.name))
    }
}

impl Membership {
    /// Gives the name back before the session is over, which may still have to do with what its peer sent. Once is enough.
    pub(crate) fn leave(&mut self) {
        if !std::mem::replace(&mut self.has_left, true) {
            self.hub.roster_mut().leave(&self.name, &self.outlet);
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
