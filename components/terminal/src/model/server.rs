//! Handles server frames and changes of the connection.

use protocol::native::{Ack, HistoryPage, ServerFrame, Welcome};
use protocol::{ClientId, ConversationId, Event, UserName};
use transport::native::is_another;
use transport::{Incoming, SendError};

use super::{Connection, Effect, Effects, Model, show};
use crate::cursors::Cursors;
use crate::history::entry::Entry;
use crate::item::{Item, Link};

impl Model {
    /// Handles a report of the connection.
    pub(crate) fn receive(&mut self, incoming: Incoming) -> Effects {
        match incoming {
            Incoming::Connected(welcome) => self.connected(*welcome),
            Incoming::Event(frame) => self.event(frame.event),
            Incoming::Frame(frame) => self.frame(*frame),
            Incoming::Disconnected { reason, .. } => self.disconnected(&reason),
            Incoming::Rejected(error) => vec![Effect::Rejected(error)],
        }
    }

    fn connected(&mut self, welcome: Welcome) -> Effects {
        let tried = std::mem::replace(&mut self.connection, Connection::Up) != Connection::Opening;
        self.live = false;
        self.told_to_wait = false;
        self.away = None;
        self.me = welcome.name;
        if is_another(self.log, welcome.log) {
            // Cursors in the old log are invalid in the new one.
            self.cursors = Cursors::default();
        }
        self.log = welcome.log.or(self.log);
        self.people.come(welcome.online);
        let mut unseen: u64 = 0;
        let mut effects = Vec::new();
        for summary in &welcome.conversations {
            self.people.met(&summary.with);
            let shown = self.cursors.known(&summary.conversation, summary.seen);
            if shown > summary.seen {
                // It was shown here, but the last session ended before the server was told.
                effects.push(Effect::Seen(summary.conversation.clone(), shown.min(summary.head)));
            }
            if shown < summary.head {
                unseen = unseen.saturating_add(summary.unseen);
            }
        }
        effects.push(Effect::Greet(welcome.conversations, welcome.log));
        let (server, me, online) = (self.server.clone(), self.me.to_string(), self.people.online());
        if std::mem::replace(&mut self.greeted, true) {
            effects.push(show(Item::Link(Link::Again { server, me, online })));
            return effects;
        }
        effects.push(show(Item::Link(Link::Up { server, me, online, unseen })));
        if !tried {
            effects.push(Effect::Unseen);
        }
        effects
    }

    /// There has been no answer for longer than the user should wait without notice.
    pub(crate) fn late(&mut self) -> Effects {
        match self.connection {
            Connection::Opening => {
                self.connection = Connection::Late;
                let link = Link::Late { server: self.server.clone(), waiting: self.pending.len() };
                vec![show(Item::Link(link)), Effect::Unseen]
            }
            Connection::Late | Connection::Up | Connection::Down => Vec::new(),
        }
    }

    fn event(&mut self, event: Event) -> Effects {
        let known = event.conversation.dm_partner(&self.me).and_then(|key| UserName::stored(key).ok());
        match known {
            Some(other) if event.sender == self.me => self.people.met(&self.people.spelling(other)),
            Some(_) | None => self.people.met(&event.sender),
        }
        vec![Effect::Keep(event)]
    }

    /// An event was saved; `entry` is set if it is new.
    pub(crate) fn kept(&mut self, event: &Event, entry: Option<Entry>) -> Effects {
        match entry {
            Some(entry) => vec![show(Item::News(entry))],
            // Own messages count as shown; known events were shown before.
            None if event.sender == self.me => self.own(&event.conversation, event.seq),
            None => Vec::new(),
        }
    }

    fn own(&mut self, conversation: &ConversationId, seq: u64) -> Effects {
        let moved = self.cursors.own(conversation, seq);
        moved.map(|seq| Effect::Seen(conversation.clone(), seq)).into_iter().collect()
    }

    /// A message was shown.
    pub(crate) fn shown(&mut self, conversation: &ConversationId, seq: u64) -> Effects {
        let moved = self.cursors.shown(conversation, seq);
        moved.map(|seq| Effect::Seen(conversation.clone(), seq)).into_iter().collect()
    }

    fn frame(&mut self, frame: ServerFrame) -> Effects {
        match frame {
            ServerFrame::Live => {
                self.live = true;
                return vec![Effect::Refill];
            }
            ServerFrame::Presence { name, online } => return self.presence(name, online),
            ServerFrame::History(page) => return self.page(page),
            ServerFrame::Seen(seen) => {
                self.cursors.known(&seen.conversation, seen.seq);
                return vec![Effect::SeenElsewhere(seen.conversation, seen.seq)];
            }
            ServerFrame::Error(error) => {
                // An error without a message's id can only concern a page.
                self.pages = self.pages.saturating_sub(1);
                return self.wrong(error.message);
            }
            // Other frames are handled by the client; unexpected ones are ignored.
            other => drop(other),
        }
        Vec::new()
    }

    fn presence(&mut self, name: UserName, online: bool) -> Effects {
        if online && self.away.as_ref() == Some(&name) {
            self.away = None;
        }
        if !self.people.turn(name.clone(), online) {
            return Vec::new();
        }
        let partner = self.partner.as_ref() == Some(&name);
        vec![show(Item::Presence { name: name.to_string(), online, partner })]
    }

    fn page(&mut self, page: HistoryPage) -> Effects {
        self.pages = self.pages.saturating_sub(1);
        vec![Effect::Past(page)]
    }

    fn disconnected(&mut self, reason: &str) -> Effects {
        let before = std::mem::replace(&mut self.connection, Connection::Down);
        self.pages = 0;
        self.live = false;
        let (reason, waiting) = (reason.to_owned(), self.pending.delay());
        match before {
            Connection::Down => Vec::new(),
            Connection::Opening | Connection::Late => {
                let link = Link::Unreachable { server: self.server.clone(), reason, waiting };
                let mut effects = vec![show(Item::Link(link))];
                effects.extend((before == Connection::Opening).then_some(Effect::Unseen));
                effects
            }
            Connection::Up => vec![show(Item::Link(Link::Lost { reason, waiting }))],
        }
    }

    /// A message was answered.
    pub(crate) fn answered(&mut self, id: ClientId, answer: Result<Ack, SendError>) -> Effects {
        match answer {
            Ok(ack) => vec![Effect::Settle(ack)],
            Err(SendError::Refused(error)) => vec![Effect::Refuse(id, error.message)],
            // It stays waiting.
            Err(SendError::Ended) => Vec::new(),
        }
    }

    /// A message of the user is stored, and that was saved.
    pub(crate) fn stored(&mut self, ack: &Ack, entry: Option<Entry>) -> Effects {
        let mut effects = self.own(&ack.conversation, ack.seq);
        let waiting = self.pending.settle(&ack.client_id);
        if let (Some(waiting), Some(entry)) = (waiting, entry) {
            let away = (!ack.online).then(|| waiting.to.clone());
            let again = away.is_some() && self.away == away;
            self.away = away;
            effects.push(show(Item::Stored { entry, online: ack.online, delayed: waiting.delayed, again }));
        }
        effects
    }

    /// A message of the user was rejected for good, and that was saved.
    pub(crate) fn refused(&mut self, id: &ClientId, reason: String, entry: Option<Entry>) -> Effects {
        self.failures += 1;
        let waiting = self.pending.settle(id);
        match (waiting, entry) {
            (_, Some(entry)) => vec![show(Item::Refused { entry, reason })],
            (Some(waiting), None) => {
                vec![show(Item::Error(format!("not sent to {}: {reason} ({})", waiting.to, waiting.preview)))]
            }
            (None, None) => Vec::new(),
        }
    }
}
