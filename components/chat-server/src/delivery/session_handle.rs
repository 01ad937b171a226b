//! The handle through which the rest of the server reaches a session: events and notices for it are queued here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use protocol::api::FeedPosition;
use protocol::{ClientId, ConversationId};
use uuid::Uuid;

use crate::delivery::inbox::{Backlog, Inbox, QueueLimits};
use crate::delivery::rendered::Rendered;
use crate::delivery::signal::Signal;
use crate::dialect::Dialect;
use crate::directory::roster::RosterSession;

/// Conversations with a pending notice that another session has shown them, or that the other user has them. Overflow rule: later notices
/// are dropped; the list of conversations has the same information.
const NOTICES: usize = 256;
/// Messages of this session that the feed has not brought back yet. Overflow rule: the oldest is forgotten, and is delivered as an event
/// that its client recognises by the id.
const SENT_HERE: usize = 1024;

/// The handle of one session.
#[derive(Debug)]
pub(crate) struct SessionHandle {
    /// Distinguishes the sessions of one user.
    pub(crate) id: u64,
    pub(crate) dialect: Dialect,
    mail: Mutex<Mail>,
    /// Raised when there is something new.
    pub(crate) wake: Signal,
    /// Raised for what the session must handle even while its output is full: a challenge, or that the client must reconnect.
    pub(crate) urgent: Signal,
    /// The session is ending, and holds its name until its peer has gone.
    leaving: AtomicBool,
    /// Somebody else wants the name.
    challenged: AtomicBool,
    lives: AtomicBool,
    /// The cursors of its client belong to another log than the store's.
    must_reconnect: AtomicBool,
    /// What let it in does so no longer.
    revoked: AtomicBool,
    /// The id of its account's token.
    pub(crate) account: Option<Uuid>,
    /// What its client sent in `hello`.
    client: OnceLock<Client>,
}

/// What a client sent in `hello`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    /// The log to which its cursors belong.
    pub(crate) log: Option<Uuid>,
    /// Whether it wants delivery receipts.
    pub(crate) receipts: bool,
}

/// What is queued for a session.
#[derive(Debug)]
pub(crate) struct Mail {
    pub(crate) inbox: Inbox,
    /// Conversations that the user's other sessions have shown, up to this `seq`.
    pub(crate) seen_elsewhere: BTreeMap<ConversationId, u64>,
    /// Conversations that the other user has, up to this `seq`.
    pub(crate) delivered: BTreeMap<ConversationId, u64>,
    sent_here: VecDeque<ClientId>,
}

impl SessionHandle {
    /// A handle for a session that must read this backlog first.
    pub(crate) fn new(
        id: u64,
        dialect: Dialect,
        bounds: QueueLimits,
        backlog: Backlog,
        account: Option<Uuid>,
    ) -> Arc<Self> {
        let inbox = Inbox::new(bounds, backlog, dialect.capabilities().has_ids);
        let mail = Mail {
            inbox,
            seen_elsewhere: BTreeMap::new(),
            delivered: BTreeMap::new(),
            sent_here: VecDeque::new(),
        };
        let (mail, wake, urgent) = (Mutex::new(mail), Signal::default(), Signal::default());
        let [leaving, must_reconnect, challenged, lives, revoked] = [false; 5].map(AtomicBool::new);
        let client = OnceLock::new();
        Arc::new(Self {
            id,
            dialect,
            mail,
            wake,
            urgent,
            leaving,
            challenged,
            lives,
            must_reconnect,
            revoked,
            account,
            client,
        })
    }

    /// Locks the queues. Hold the guard for a few lines only.
    pub(crate) fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().expect("nobody panics while holding this lock")
    }

    /// Queues an event of the feed for this user.
    pub(crate) fn deliver(&self, event: &Arc<Rendered>, own: bool, at: FeedPosition) {
        let mut mail = self.mail();
        let known = own && mail.take_sent_here(&event.event().client_id);
        let wake = !known && mail.inbox.offer(event, own, at);
        drop(mail);
        if wake {
            self.wake.raise();
        }
    }

    /// The feed lost events.
    pub(crate) fn mark_lost(&self) {
        if self.mail().inbox.mark_lost() {
            self.wake.raise();
        }
    }

    /// Another session of the user has shown a conversation up to here.
    pub(crate) fn tell_seen(&self, conversation: &ConversationId, seq: u64) {
        note(&mut self.mail().seen_elsewhere, conversation, seq);
        self.wake.raise();
    }

    /// The other user has a conversation up to here.
    pub(crate) fn tell_delivered(&self, conversation: &ConversationId, seq: u64) {
        note(&mut self.mail().delivered, conversation, seq);
        self.wake.raise();
    }

    /// Records what the client sent in `hello`.
    pub(crate) fn set_client(&self, client: Client) {
        // It is sent once.
        let _ = self.client.set(client);
    }

    /// Whether its client wants delivery receipts.
    pub(crate) fn wants_receipts(&self) -> bool {
        self.client.get().is_some_and(|client| client.receipts)
    }

    /// Whether its client holds cursors of another log than this one.
    pub(crate) fn remembers_other_log(&self, log: Uuid) -> bool {
        self.client.get().is_some_and(|client| client.log.is_some_and(|its| its != log))
    }

    /// Somebody wants the name: the session must probe its peer.
    pub(crate) fn challenge(&self) {
        self.lives.store(false, Ordering::Relaxed);
        self.challenged.store(true, Ordering::Release);
        self.urgent.raise();
    }

    /// Whether the session must probe its peer.
    pub(crate) fn is_challenged(&self) -> bool {
        self.challenged.load(Ordering::Acquire)
    }

    /// The peer has answered.
    pub(crate) fn confirm_alive(&self) {
        self.challenged.store(false, Ordering::Relaxed);
        self.lives.store(true, Ordering::Release);
    }

    /// Whether the peer has answered since the last challenge.
    pub(crate) fn is_alive(&self) -> bool {
        self.lives.load(Ordering::Acquire)
    }

    /// Makes the client reconnect and start again.
    pub(crate) fn require_reconnect(&self) {
        self.must_reconnect.store(true, Ordering::Relaxed);
        self.urgent.raise();
    }

    /// Whether the client must reconnect.
    pub(crate) fn must_reconnect(&self) -> bool {
        self.must_reconnect.load(Ordering::Relaxed)
    }

    /// Ends the session at once: its client may not use the name any more.
    pub(crate) fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
        self.urgent.raise();
    }

    /// Whether the session must end at once.
    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// The session is ending; its name will be free in a moment.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }
}

impl RosterSession for Arc<SessionHandle> {
    fn id(&self) -> u64 {
        self.id
    }

    fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }
}

fn note(notices: &mut BTreeMap<ConversationId, u64>, conversation: &ConversationId, seq: u64) {
    if let Some(known) = notices.get_mut(conversation) {
        *known = seq.max(*known);
    } else if notices.len() < NOTICES {
        notices.insert(conversation.clone(), seq);
    }
}

impl Mail {
    /// This session sends a message, which need not be delivered back to it.
    pub(crate) fn sends(&mut self, id: &ClientId) {
        if self.sent_here.len() >= SENT_HERE {
            self.sent_here.pop_front();
        }
        self.sent_here.push_back(id.clone());
    }

    /// Whether this session sent it; the entry is removed. Messages come back roughly in order, so the search is short.
    pub(crate) fn take_sent_here(&mut self, id: &ClientId) -> bool {
        let Some(at) = self.sent_here.iter().position(|sent| sent == id) else { return false };
        self.sent_here.remove(at);
        if self.sent_here.is_empty() {
            self.sent_here = VecDeque::new();
        }
        true
    }
}
