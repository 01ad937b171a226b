//! What is sent next, and in which order: answers, replayed messages, notices, live events.

use std::collections::BTreeMap;

use protocol::{ConversationId, Event};
use tokio::time::Instant;

use super::answers::Answer;
use super::{Opening, Session};
use crate::access::allowance;
use crate::backend::page_budget::PagePermit;
use crate::delivery::catch_up::{self, Page, Pass};
use crate::delivery::inbox::{Backlog, Style};
use crate::dialect::codec::{Notice, Receipts};
use crate::dialect::request::Seen;
use crate::outcome::{Outcome, SentMessage};

/// Presence changes sent at once; the next ones follow when these are written.
const PRESENCE: usize = 64;
/// Clients disconnected by a stopping server reconnect spread over this time.
const COME_BACK_WITHIN_MS: f64 = 500.0;

/// Sent instead of unread messages while the store is unavailable.
const UNREADABLE: &str =
    "Your unread messages cannot be read now. They are kept, and are shown as soon as they can be read.";
/// Sent instead of unread messages if the failure will last.
const REFUSED: &str = "Your unread messages cannot be read: the server's store refuses to hand them out. They are kept, but \
    the server's operator must repair this first; please tell them.";

impl Session {
    /// Fills the output buffer.
    pub(super) fn fill(&mut self) {
        while !self.wire.out.has_enough()
            && (self.answer()
                || self.replay_next()
                || self.greet()
                || self.notice()
                || self.live()
                || self.bye())
        {}
    }

    fn answer(&mut self) -> bool {
        if !self.opening.is_over() {
            // Stored messages come first.
            return false;
        }
        match self.answers.take() {
            None => return false,
            Some(Answer::Bytes(bytes)) => self.wire.out.push(&bytes),
            Some(Answer::Page(bytes, permit)) => {
                self.allowance.charge(Instant::now(), allowance::cost_of_bytes(bytes.len()));
                self.wire.out.push_page(&bytes, permit);
            }
            Some(Answer::Outcome(sent, outcome)) => self.outcome(&sent, outcome),
        }
        if self.capabilities().asks {
            self.prompt();
        }
        true
    }

    fn outcome(&mut self, sent: &SentMessage, outcome: Outcome) {
        let online = self.server.hub.is_online(&sent.to);
        let comes_back = match &outcome {
            Outcome::Stored(appended, _) => !appended.duplicate,
            Outcome::Refused(_) | Outcome::Unknown => false,
        };
        if self.capabilities().mirrors && !comes_back {
            // The feed will not bring it back, or it will as an event of another session.
            self.member.handle.mail().take_sent_here(&sent.client_id);
        }
        if !self.capabilities().has_ids {
            match &outcome {
                Outcome::Unknown => self.in_doubt.add(sent),
                Outcome::Stored(..) | Outcome::Refused(_) => self.in_doubt.settle(sent),
            }
        }
        let answer = self.dialect().outcome(sent, outcome, online);
        answer.iter().for_each(|answer| self.wire.out.push(answer));
    }

    /// Prompts for the next line with the other users online.
    fn prompt(&mut self) {
        let prompt = self.server.hub.with_others(&self.member.name, |others| self.dialect().prompt(others));
        self.allowance.charge(Instant::now(), allowance::cost_of_bytes(prompt.online.len()));
        self.wire.out.push(prompt.online.as_bytes());
        self.wire.out.push(prompt.question.as_bytes());
    }

    /// Ends a greeting with a prompt once all stored messages are shown, or after [`GREETING`](super::GREETING).
    fn greet(&mut self) -> bool {
        let Opening::Until(deadline) = self.opening else { return false };
        let shows = !self.wire.out.is_broken() && !self.member.handle.mail().inbox.is_live();
        if shows && Instant::now() < deadline {
            return false;
        }
        self.opening = Opening::Over;
        self.prompt();
        true
    }

    /// Whether events are still sent: not when the session is ending, unless unread messages are still due.
    fn sends_events(&self) -> bool {
        self.closing.as_ref().is_none_or(|closing| closing.owes_unread)
            && !self.receipts.unconfirmed.is_full()
            && !self.wire.out.is_broken()
    }

    /// Whether to read the next page of the pass.
    pub(super) fn wants_page(&self) -> bool {
        self.sends_events() && self.replay.page.len() == 0
    }

    fn replay_next(&mut self) -> bool {
        if !self.sends_events() {
            return false;
        }
        if let Some(event) = self.replay.page.next() {
            if self.replay.page.len() == 0 {
                self.replay.permit = PagePermit::default();
            }
            self.replay_event(&event);
            return true;
        }
        if self.replay.pages.is_none() {
            let backlog = self.member.handle.mail().inbox.begin_pass();
            if let Some(backlog) = backlog {
                self.begin_pass(backlog);
            }
        }
        false
    }

    fn begin_pass(&mut self, backlog: Backlog) {
        let Backlog { mut known, unread, gaps, lost } = backlog;
        // A gap begins where the queue was dropped; in the other direction an earlier pass may have sent more.
        let is_relevant = |conversation: &ConversationId| unread.is_some() || gaps.contains_key(conversation);
        let mut mail = self.member.handle.mail();
        for (conversation, seq) in
            self.receipts.unconfirmed.iter().filter(|(conversation, _)| is_relevant(conversation))
        {
            mail.inbox.note_sent(conversation, seq, false);
        }
        let mut sent: BTreeMap<ConversationId, u64> = BTreeMap::new();
        for (conversation, seq, own) in self.receipts.sent.iter() {
            if is_relevant(conversation) {
                mail.inbox.note_sent(conversation, seq, own);
            }
            let last = sent.entry(conversation.clone()).or_insert(seq);
            *last = seq.max(*last);
        }
        drop(mail);
        if lost {
            // Unread messages omit what this user sent in other sessions, which line dialects do not show.
            sent.into_iter().for_each(|(conversation, seq)| _ = known.entry(conversation).or_insert(seq));
        }
        self.replay.style = unread.unwrap_or(Style::Live);
        let pass = Pass { user: self.member.name.clone(), known, unread: unread.is_some(), gaps };
        self.replay.pages = Some(catch_up::start(&self.server, pass));
    }

    /// A page arrived, or the pass was aborted.
    pub(super) fn take_page(&mut self, page: Option<Page>) {
        match page {
            Some(Page::UnreadFrom(from)) => self.member.handle.mail().inbox.reads_unread_from(from),
            Some(Page::Events(events, permit)) => {
                (self.replay.page, self.replay.permit) = (events.into_iter(), permit);
            }
            Some(Page::Unreadable) => self.tell(Notice::Unreadable(UNREADABLE)),
            Some(Page::Refused) => self.tell(Notice::Unreadable(REFUSED)),
            Some(Page::End(position)) => {
                self.replay.pages = None;
                let passed = self.server.hub.has_passed(position);
                let live = self.member.handle.mail().inbox.finish_pass(position, passed);
                if live && !std::mem::replace(&mut self.replay.live_announced, true) {
                    self.tell(Notice::Live);
                }
            }
            // Only if the server's tasks are aborted, which also ends the session.
            None => self.replay.pages = None,
        }
    }

    fn replay_event(&mut self, event: &Event) {
        let own = !event.is_incoming_for(&self.member.name);
        let unwanted = !self.capabilities().mirrors && own
            || self.replay.only_since.is_some_and(|login| login.is_before(event.at) == Some(true))
            || !self.member.handle.mail().inbox.show(event, own);
        if unwanted {
            return;
        }
        let stored_offline = match self.replay.style {
            Style::Stored => true,
            Style::SinceLogin(login) => login
                .is_before(event.at)
                .unwrap_or_else(|| !self.member.handle.mail().inbox.arrived_since(event)),
            Style::Live => false,
        };
        if stored_offline && !std::mem::replace(&mut self.replay.header_sent, true) {
            self.wire.out.push(self.dialect().stored_header().as_bytes());
        }
        self.wire.out.push(&self.dialect().replayed(event, stored_offline));
        self.sent(event);
    }

    fn live(&mut self) -> bool {
        if !self.sends_events() {
            return false;
        }
        if !self.replay.live_announced {
            if !self.member.handle.mail().inbox.is_live() {
                return false;
            }
            self.replay.live_announced = true;
            self.tell(Notice::Live);
        }
        let Some(event) = self.member.handle.mail().inbox.next() else { return false };
        self.wire.out.push(event.live(self.dialect()));
        if let Some(received) = event.received().filter(|_| event.event().is_incoming_for(&self.member.name))
        {
            self.receipts.unwritten.add(self.wire.out.end(), received);
        }
        self.sent(event.event());
        true
    }

    /// An event was put into the output buffer.
    fn sent(&mut self, event: &Event) {
        let Event { conversation, seq, .. } = event;
        let seq = *seq;
        self.server.traces.written(conversation, seq, || self.place());
        match self.capabilities().receipts {
            Receipts::Transport => {
                self.receipts.unconfirmed.add(self.wire.out.end(), conversation, seq);
                self.confirm_soon();
            }
            Receipts::Client => {
                self.receipts.sent.advance(conversation, seq, !event.is_incoming_for(&self.member.name));
            }
        }
    }

    fn notice(&mut self) -> bool {
        let seen = self.member.handle.mail().seen_elsewhere.pop_first();
        if let Some((conversation, seq)) = seen {
            self.tell(Notice::Seen(Seen { conversation, seq }));
            return true;
        }
        let delivered = self.member.handle.mail().delivered.pop_first();
        if let Some((conversation, seq)) = delivered {
            self.tell(Notice::Delivered(Seen { conversation, seq }));
            return true;
        }
        if self.presence.as_ref().is_none_or(|announced| *announced.borrow() <= self.member.presence) {
            return false;
        }
        let changes = self.server.hub.presence_since(self.member.presence, PRESENCE);
        let any = !changes.is_empty();
        for (index, name, online) in changes {
            self.member.presence = index;
            self.tell(Notice::Presence(name, online));
        }
        any
    }

    /// Once everything is answered, the client is told when to reconnect.
    fn bye(&mut self) -> bool {
        let answered = self.answers.is_empty();
        let reason = match &mut self.closing {
            Some(closing) if answered && closing.bye => {
                closing.bye = false;
                closing.why
            }
            Some(_) | None => return false,
        };
        let wait = (kit::backoff::unit_random() * COME_BACK_WITHIN_MS).round();
        // Between 0 and 500, so the cast loses nothing.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 500")]
        let reconnect_after_ms = wait as u64;
        self.tell(Notice::Bye(reason, reconnect_after_ms));
        true
    }
}
