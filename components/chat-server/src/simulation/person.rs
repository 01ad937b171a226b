//! Somebody who reads: a session as `session` runs it, without a socket. Slow at times, gone at any moment, back after a while.
//!
//! What a text session does is done here by the same parts: the inbox, laps of catching up, cursors that move once the peer has what
//! it was sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use protocol::{ConversationId, Event, Timestamp, UserName};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::dice::Dice;
use crate::delivery::catch_up::{self, Lap, Page};
use crate::delivery::hub::Membership;
use crate::delivery::inbox::{Backlog, Style};
use crate::delivery::login_time::LoginTime;
use crate::dialect::Dialect;
use crate::directory::roster::Claim;
use crate::server::Server;

/// What one session showed, in order: the log, the place in it, whether it was the user's own, the event.
pub(super) type Showing = Vec<(ConversationId, u64, bool, Uuid)>;

/// A mistake that is made on purpose, to show that it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planted {
    Loss,
    Double,
    Swap,
}

/// A reader and what all of their sessions showed.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) name: UserName,
    dialect: Dialect,
    dice: Arc<Dice>,
    planted: Option<Planted>,
    pub(super) showings: Mutex<Vec<Showing>>,
    /// Of lines: what the peer is known to have. No later session shows it.
    confirmed: Mutex<BTreeMap<ConversationId, u64>>,
}

/// One session.
struct Sitting<'p> {
    person: &'p Person,
    server: &'p Arc<Server>,
    member: Membership,
    pages: Option<mpsc::Receiver<Page>>,
    page: std::vec::IntoIter<Event>,
    /// Shown, and nobody knows yet whether the peer has it.
    unconfirmed: BTreeMap<ConversationId, u64>,
    /// The last that was sent of each lane of a conversation; native sessions remember it.
    sent: BTreeMap<(ConversationId, bool), u64>,
}

impl Person {
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

    /// Comes and goes for ever.
    pub(super) async fn live(self: Arc<Self>, server: Arc<Server>, faults: impl Fn() -> bool) {
        loop {
            let style = if self.dialect.manner().has_ids {
                Style::Stored
            } else {
                Style::SinceLogin(LoginTime::at(Timestamp::from_micros(0)))
            };
            let backlog = Backlog { unseen: Some(style), ..Backlog::default() };
            let member = server.hub.join(&self.name, Claim::Service, self.dialect, backlog).unwrap();
            self.showings.lock().unwrap().push(Vec::new());
            let sitting = Sitting {
                person: &self,
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

impl Sitting<'_> {
    async fn run(mut self, leaves: Instant, faults: &impl Fn() -> bool) {
        while !faults() || Instant::now() < leaves {
            if self.show_next() {
                // Now and then it takes nothing for a while.
                if self.person.dice.one_in(20) {
                    self.person.dice.delay().await;
                }
                continue;
            }
            self.confirm();
            self.wait().await;
        }
        // What it was sent last is lost with it, or not.
        if self.person.dice.one_in(2) {
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
            () = self.member.outlet.wake.notified() => None,
            () = wakes => None,
        };
        match page {
            None => {}
            Some(Some(Page::Unseen(from))) => self.member.outlet.mail().inbox.reads_unseen_from(from),
            Some(Some(Page::Events(events, _))) => self.page = events.into_iter(),
            Some(Some(Page::Unreadable | Page::Refused)) => {}
            Some(Some(Page::End(position))) => {
                self.pages = None;
                let passed = self.server.hub.has_passed(position);
                self.member.outlet.mail().inbox.finish(position, passed);
            }
            Some(None) => self.pages = None,
        }
    }

    /// Shows one event, if there is one.
    fn show_next(&mut self) -> bool {
        if let Some(event) = self.page.next() {
            let own = !event.is_incoming_for(&self.person.name);
            let unwanted = self.is_lines() && own || !self.member.outlet.mail().inbox.show(&event, own);
            if !unwanted {
                self.show(&event, own);
            }
            return true;
        }
        if self.pages.is_none() {
            let backlog = self.member.outlet.mail().inbox.begin();
            if let Some(backlog) = backlog {
                self.begin_lap(backlog);
            }
        }
        let Some(event) = self.member.outlet.mail().inbox.next() else { return false };
        let own = !event.event().is_incoming_for(&self.person.name);
        self.show(event.event(), own);
        true
    }

    fn begin_lap(&mut self, backlog: Backlog) {
        let Backlog { mut known, unseen, gaps, lost } = backlog;
        let noted = |conversation: &ConversationId| unseen.is_some() || gaps.contains_key(conversation);
        let mut mail = self.member.outlet.mail();
        for (conversation, seq) in self.unconfirmed.iter().filter(|(conversation, _)| noted(conversation)) {
            mail.inbox.note_sent(conversation, *seq, false);
        }
        let mut sent: BTreeMap<ConversationId, u64> = BTreeMap::new();
        for ((conversation, own), seq) in &self.sent {
            if noted(conversation) {
                mail.inbox.note_sent(conversation, *seq, *own);
            }
            let last = sent.entry(conversation.clone()).or_insert(*seq);
            *last = (*seq).max(*last);
        }
        drop(mail);
        if lost {
            sent.into_iter().for_each(|(conversation, seq)| _ = known.entry(conversation).or_insert(seq));
        }
        let lap = Lap { user: self.person.name.clone(), known, unseen: unseen.is_some(), gaps };
        self.pages = Some(catch_up::start(self.server, lap));
    }

    fn show(&mut self, event: &Event, own: bool) {
        let shown = (event.conversation.clone(), event.seq, own, event.id);
        let confirmed = self.person.confirmed.lock().unwrap().get(&event.conversation).copied();
        assert!(confirmed.is_none_or(|seq| seq < event.seq), "{shown:?} was shown to {}", self.person.name);
        let mut showings = self.person.showings.lock().unwrap();
        let showing = showings.last_mut().unwrap();
        match self.person.planted.filter(|_| !own && event.seq == 3) {
            Some(Planted::Loss) => {}
            Some(Planted::Double) => showing.extend([shown.clone(), shown]),
            // Before the one that it follows.
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
        if !self.is_lines() && self.person.dice.one_in(3) {
            self.server.cursors.advance(&self.person.name, None, event.conversation.clone(), event.seq);
        }
    }

    /// The peer's TCP says that it has everything.
    fn confirm(&mut self) {
        for (conversation, seq) in std::mem::take(&mut self.unconfirmed) {
            self.person.confirmed.lock().unwrap().insert(conversation.clone(), seq);
            self.server.cursors.advance(&self.person.name, None, conversation, seq);
        }
    }

    fn is_lines(&self) -> bool {
        !self.person.dialect.manner().has_ids
    }
}
