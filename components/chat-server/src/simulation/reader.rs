//! A simulated reader: a session as `session` runs it, without a socket. It is slow at times, disconnects at any moment, and reconnects
//! later.
//!
//! It uses the parts that a text session uses: the inbox, catch-up passes, and cursors that move once the peer has received an event.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use protocol::{ConversationId, Event, Timestamp, UserName};
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::dice::Dice;
use crate::delivery::catch_up::{self, Page, Pages, Pass};
use crate::delivery::hub::Membership;
use crate::delivery::inbox::{Backlog, Style};
use crate::delivery::login_time::LoginTime;
use crate::dialect::Dialect;
use crate::directory::roster::Claim;
use crate::server::Server;

/// The events shown in one session, in order: conversation, `seq`, whether it was the user's own, id.
pub(super) type Showing = Vec<(ConversationId, u64, bool, Uuid)>;

/// A deliberate bug, to test that the checks detect it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planted {
    Loss,
    Double,
    Swap,
}

/// A reader, and what all of their sessions showed.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) name: UserName,
    dialect: Dialect,
    dice: Arc<Dice>,
    planted: Option<Planted>,
    pub(super) showings: Mutex<Vec<Showing>>,
    /// In line dialects: events that the peer is known to have. No later session shows them.
    confirmed: Mutex<BTreeMap<ConversationId, u64>>,
}

struct ReaderSession<'p> {
    reader: &'p Reader,
    server: &'p Arc<Server>,
    member: Membership,
    pages: Option<Pages>,
    page: std::vec::IntoIter<Event>,
    /// Shown, and not known to have been received.
    unconfirmed: BTreeMap<ConversationId, u64>,
    /// The last event sent in each direction of a conversation; native clients remember it.
    sent: BTreeMap<(ConversationId, bool), u64>,
}

impl Reader {
    pub(super) fn new(
        name: UserName,
        dialect: Dialect,
        dice: Arc<Dice>,
        planted: Option<Planted>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            dialect,
            dice,
            planted,
            showings: Mutex::default(),
            confirmed: Mutex::default(),
        })
    }

    /// Connects and disconnects forever.
    pub(super) async fn live(self: Arc<Self>, server: Arc<Server>, faults: impl Fn() -> bool) {
        loop {
            let style = if self.dialect.capabilities().has_ids {
                Style::Stored
            } else {
                Style::SinceLogin(LoginTime::at(Timestamp::from_micros(0)))
            };
            let backlog = Backlog { unread: Some(style), ..Backlog::default() };
            let member = server.hub.join(&self.name, Claim::Service, self.dialect, backlog).unwrap();
            self.showings.lock().unwrap().push(Vec::new());
            let sitting = ReaderSession {
                reader: &self,
                server: &server,
                member,
                pages: None,
                page: Vec::new().into_iter(),
                unconfirmed: BTreeMap::new(),
                sent: BTreeMap::new(),
            };
            let leaves = Instant::now() + Duration::from_millis(100 + self.dice.below(4000));
            sitting.run(leaves, &faults).await;
            self.dice.pause(800).await;
        }
    }
}

impl ReaderSession<'_> {
    async fn run(mut self, leaves: Instant, faults: &impl Fn() -> bool) {
        while !faults() || Instant::now() < leaves {
            if self.show_next() {
                // Now and then it reads nothing for a while.
                if self.reader.dice.one_in(20) {
                    self.reader.dice.delay().await;
                }
                continue;
            }
            self.confirm();
            self.wait().await;
        }
        // What was sent last is lost with the connection, or not.
        if self.reader.dice.one_in(2) {
            self.confirm();
        }
    }

    async fn wait(&mut self) {
        let wakes = tokio::time::sleep(Duration::from_millis(50));
        let wants_page = self.page.len() == 0;
        let page = async {
            match &mut self.pages {
                Some(pages) if wants_page => pages.recv().await,
                Some(_) | None => std::future::pending().await,
            }
        };
        let page = tokio::select! {
            biased;
            page = page => Some(page),
            () = self.member.handle.wake.raised() => None,
            () = wakes => None,
        };
        match page {
            None => {}
            Some(Some(Page::UnreadFrom(from))) => self.member.handle.mail().inbox.reads_unread_from(from),
            Some(Some(Page::Events(events, _))) => self.page = events.into_iter(),
            Some(Some(Page::Unreadable | Page::Refused)) => {}
            Some(Some(Page::End(position))) => {
                self.pages = None;
                let passed = self.server.hub.has_passed(position);
                self.member.handle.mail().inbox.finish_pass(position, passed);
            }
            Some(None) => self.pages = None,
        }
    }

    /// Shows one event, if there is one.
    fn show_next(&mut self) -> bool {
        if let Some(event) = self.page.next() {
            let own = !event.is_incoming_for(&self.reader.name);
            let unwanted = self.is_lines() && own || !self.member.handle.mail().inbox.show(&event, own);
            if !unwanted {
                self.show(&event, own);
            }
            return true;
        }
        if self.pages.is_none() {
            let backlog = self.member.handle.mail().inbox.begin_pass();
            if let Some(backlog) = backlog {
                self.begin_pass(backlog);
            }
        }
        let Some(event) = self.member.handle.mail().inbox.next() else { return false };
        let own = !event.event().is_incoming_for(&self.reader.name);
        self.show(event.event(), own);
        true
    }

    fn begin_pass(&mut self, backlog: Backlog) {
        let Backlog { mut known, unread, gaps, lost } = backlog;
        let is_relevant = |conversation: &ConversationId| unread.is_some() || gaps.contains_key(conversation);
        let mut mail = self.member.handle.mail();
        for (conversation, seq) in
            self.unconfirmed.iter().filter(|(conversation, _)| is_relevant(conversation))
        {
            mail.inbox.note_sent(conversation, *seq, false);
        }
        let mut sent: BTreeMap<ConversationId, u64> = BTreeMap::new();
        for ((conversation, own), seq) in &self.sent {
            if is_relevant(conversation) {
                mail.inbox.note_sent(conversation, *seq, *own);
            }
            let last = sent.entry(conversation.clone()).or_insert(*seq);
            *last = (*seq).max(*last);
        }
        drop(mail);
        if lost {
            sent.into_iter().for_each(|(conversation, seq)| _ = known.entry(conversation).or_insert(seq));
        }
        let pass = Pass { user: self.reader.name.clone(), known, unread: unread.is_some(), gaps };
        self.pages = Some(catch_up::start(self.server, pass));
    }

    fn show(&mut self, event: &Event, own: bool) {
        let shown = (event.conversation.clone(), event.seq, own, event.id);
        let confirmed = self.reader.confirmed.lock().unwrap().get(&event.conversation).copied();
        assert!(confirmed.is_none_or(|seq| seq < event.seq), "{shown:?} was shown to {}", self.reader.name);
        let mut showings = self.reader.showings.lock().unwrap();
        let showing = showings.last_mut().unwrap();
        match self.reader.planted.filter(|_| !own && event.seq == 3) {
            Some(Planted::Loss) => {}
            Some(Planted::Double) => showing.extend([shown.clone(), shown]),
            // Before the event that it follows.
            Some(Planted::Swap) => {
                let same = |it: &&mut (ConversationId, u64, bool, Uuid)| it.0 == shown.0 && !it.2;
                match showing.iter_mut().rev().find(same) {
                    Some(before) => {
                        let before = std::mem::replace(before, shown);
                        showing.push(before);
                    }
                    None => showing.push(shown),
                }
            }
            None => showing.push(shown),
        }
        drop(showings);
        let last = if self.is_lines() {
            self.unconfirmed.entry(event.conversation.clone()).or_default()
        } else {
            self.sent.entry((event.conversation.clone(), own)).or_default()
        };
        *last = event.seq.max(*last);
        if !self.is_lines() && self.reader.dice.one_in(3) {
            self.server.cursors.advance(&self.reader.name, None, event.conversation.clone(), event.seq);
        }
    }

    /// The peer's TCP acknowledges everything.
    fn confirm(&mut self) {
        for (conversation, seq) in std::mem::take(&mut self.unconfirmed) {
            self.reader.confirmed.lock().unwrap().insert(conversation.clone(), seq);
            self.server.cursors.advance(&self.reader.name, None, conversation, seq);
        }
    }

    fn is_lines(&self) -> bool {
        !self.reader.dialect.capabilities().has_ids
    }
}
