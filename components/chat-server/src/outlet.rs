//! The end of a session that the rest of the server holds: where events and notices for it are put.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use protocol::api::FeedPosition;
use protocol::{ClientId, ConversationId};
use tokio::sync::Notify;

use crate::inbox::{Backlog, Bounds, Inbox};
use crate::rendered::Rendered;

/// Conversations of which it can wait to be told that another session has shown them. Overflow rule: later ones are dropped;
/// what they tell can be seen in the list of conversations.
const NOTICES: usize = 256;
/// Messages of this session that the feed has not brought back. Overflow rule: the oldest is forgotten, and comes back as an event
/// that its client knows by its id.
const SENT_HERE: usize = 1024;

/// Which dialect a session speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Lines for people.
    Text,
    /// Lines for clients of the client book.
    Book,
    /// JSON lines.
    Native,
}

impl Dialect {
    /// Whether it is made of lines without ids: what the peer's TCP took counts as seen, and a quiet moment ends a message.
    pub(crate) fn is_lines(self) -> bool {
        matches!(self, Self::Text | Self::Book)
    }
}

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
    /// The session is on its way out and only keeps its name until it is gone.
    leaving: AtomicBool,
}

/// What is in it.
#[derive(Debug)]
pub(crate) struct Mail {
    /// Events.
    pub(crate) inbox: Inbox,
    /// What the user's other sessions have shown.
    pub(crate) seen_elsewhere: BTreeMap<ConversationId, u64>,
    sent_here: VecDeque<ClientId>,
}

impl Outlet {
    /// A mailbox for a session that has this to read first.
    pub(crate) fn new(id: u64, dialect: Dialect, bounds: Bounds, backlog: Backlog) -> Arc<Self> {
        let inbox = Inbox::new(bounds, backlog, dialect.is_lines());
        let mail = Mail { inbox, seen_elsewhere: BTreeMap::new(), sent_here: VecDeque::new() };
        let (mail, wake) = (Mutex::new(mail), Notify::new());
        Arc::new(Self { id, dialect, mail, wake, leaving: AtomicBool::new(false) })
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
        let mut mail = self.mail();
        if let Some(known) = mail.seen_elsewhere.get_mut(conversation) {
            *known = seq.max(*known);
        } else if mail.seen_elsewhere.len() < NOTICES {
            mail.seen_elsewhere.insert(conversation.clone(), seq);
        }
        drop(mail);
        self.wake.notify_one();
    }

    /// The session ends; its name is free in a moment.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether the session is ending.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
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
