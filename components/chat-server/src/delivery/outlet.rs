//! The end of a session that the rest of the server holds: where events and notices for it are put.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use protocol::api::FeedPosition;
use protocol::{ClientId, ConversationId};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::delivery::inbox::{Backlog, Bounds, Inbox};
use crate::delivery::rendered::Rendered;
use crate::dialect::Dialect;
use crate::directory::roster::Seat;

/// Conversations of which it can wait to be told that another session has shown them, or that the other user has them. Overflow rule: later ones are dropped;
/// what they tell can be seen in the list of conversations.
const NOTICES: usize = 256;
/// Messages of this session that the feed has not brought back. Overflow rule: the oldest is forgotten, and comes back as an event
/// that its client knows by its id.
const SENT_HERE: usize = 1024;

/// One session's mailbox.
#[derive(Debug)]
pub(crate) struct Outlet {
    /// Tells the sessions of one user apart.
    pub(crate) id: u64,
    /// What it speaks.
    pub(crate) dialect: Dialect,
    mail: Mutex<Mail>,
    /// Says that there is something new.
    pub(crate) wake: Notify,
    /// Says what is heard also while there is no room for anything new: that somebody wants the name, or that the client must begin anew.
    pub(crate) summons: Notify,
    /// The session is on its way out and only keeps its name until it is gone.
    leaving: AtomicBool,
    /// Somebody else wants the name; whether the peer has shown life since.
    challenged: AtomicBool,
    lives: AtomicBool,
    /// What its client remembers belongs to another log than the store's.
    sent_away: AtomicBool,
    /// What its client said of itself.
    client: OnceLock<Client>,
}

/// What a client said of itself at its login.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    /// The log to which what it remembers belongs.
    pub(crate) log: Option<Uuid>,
    /// Whether it wants to be told what was delivered.
    pub(crate) receipts: bool,
}

/// What is in it.
#[derive(Debug)]
pub(crate) struct Mail {
    /// Events.
    pub(crate) inbox: Inbox,
    /// What the user's other sessions have shown.
    pub(crate) seen_elsewhere: BTreeMap<ConversationId, u64>,
    /// How much of each conversation the other user has.
    pub(crate) delivered: BTreeMap<ConversationId, u64>,
    sent_here: VecDeque<ClientId>,
}

impl Outlet {
    /// A mailbox for a session that has this to read first.
    pub(crate) fn new(id: u64, dialect: Dialect, bounds: Bounds, backlog: Backlog) -> Arc<Self> {
        let inbox = Inbox::new(bounds, backlog, dialect.manner().has_ids);
        let mail = Mail {
            inbox,
            seen_elsewhere: BTreeMap::new(),
            delivered: BTreeMap::new(),
            sent_here: VecDeque::new(),
        };
        let (mail, wake, summons) = (Mutex::new(mail), Notify::new(), Notify::new());
        let [leaving, sent_away, challenged, lives] = [false; 4].map(AtomicBool::new);
        let client = OnceLock::new();
        Arc::new(Self { id, dialect, mail, wake, summons, leaving, challenged, lives, sent_away, client })
    }

    /// What is in it. Hold it for a few lines.
    pub(crate) fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().expect("nobody panics while holding this lock")
    }

    /// The feed brings an event for this user.
    pub(crate) fn deliver(&self, event: &Arc<Rendered>, own: bool, at: FeedPosition) {
        let mut mail = self.mail();
        let known = own && mail.take_sent_here(&event.event().client_id);
        let wake = !known && mail.inbox.offer(event, own, at);
        drop(mail);
        if wake {
            self.wake.notify_one();
        }
    }

    /// The feed lost events.
    pub(crate) fn lose(&self) {
        if self.mail().inbox.lose() {
            self.wake.notify_one();
        }
    }

    /// Another session of the user has shown a conversation up to here.
    pub(crate) fn tell_seen(&self, conversation: &ConversationId, seq: u64) {
        note(&mut self.mail().seen_elsewhere, conversation, seq);
        self.wake.notify_one();
    }

    /// The other user has a conversation up to here.
    pub(crate) fn tell_delivered(&self, conversation: &ConversationId, seq: u64) {
        note(&mut self.mail().delivered, conversation, seq);
        self.wake.notify_one();
    }

    /// Notes what the client said of itself.
    pub(crate) fn introduce(&self, client: Client) {
        // It says so once.
        let _ = self.client.set(client);
    }

    /// Whether its client wants to be told what was delivered.
    pub(crate) fn wants_receipts(&self) -> bool {
        self.client.get().is_some_and(|client| client.receipts)
    }

    /// Whether its client remembers places in another log than this one.
    pub(crate) fn remembers_other_log(&self, log: Uuid) -> bool {
        self.client.get().is_some_and(|client| client.log.is_some_and(|its| its != log))
    }

    /// Somebody wants the name: the session is to find out whether its peer lives.
    pub(crate) fn challenge(&self) {
        self.lives.store(false, Ordering::Relaxed);
        self.challenged.store(true, Ordering::Release);
        self.summons.notify_one();
    }

    /// Whether it is to find out whether its peer lives.
    pub(crate) fn is_challenged(&self) -> bool {
        self.challenged.load(Ordering::Acquire)
    }

    /// The peer lives.
    pub(crate) fn shows_life(&self) {
        self.challenged.store(false, Ordering::Relaxed);
        self.lives.store(true, Ordering::Release);
    }

    /// Whether the peer has shown life since the last challenge.
    pub(crate) fn lives(&self) -> bool {
        self.lives.load(Ordering::Acquire)
    }

    /// Its client must begin anew.
    pub(crate) fn send_away(&self) {
        self.sent_away.store(true, Ordering::Relaxed);
        self.summons.notify_one();
    }

    /// Whether its client must begin anew.
    pub(crate) fn is_sent_away(&self) -> bool {
        self.sent_away.load(Ordering::Relaxed)
    }

    /// The session ends; its name is free in a moment.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }
}

impl Seat for Arc<Outlet> {
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
    /// This session sends a message: it need not be told of it.
    pub(crate) fn sends(&mut self, id: &ClientId) {
        if self.sent_here.len() >= SENT_HERE {
            self.sent_here.pop_front();
        }
        self.sent_here.push_back(id.clone());
    }

    /// Whether this session sent it; it is forgotten then. Messages come back about in order, so the search is short.
    pub(crate) fn take_sent_here(&mut self, id: &ClientId) -> bool {
        let Some(at) = self.sent_here.iter().position(|sent| sent == id) else { return false };
        self.sent_here.remove(at);
        if self.sent_here.is_empty() {
            self.sent_here = VecDeque::new();
        }
        true
    }
}
