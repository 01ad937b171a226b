//! What goes to the peer next, and in which order: answers, what the store replays, notices, what happens now.

use std::collections::BTreeMap;

use protocol::{ConversationId, Event};
use tokio::time::Instant;

use super::answers::Answer;
use super::{Opening, Session};
use crate::access::allowance;
use crate::backend::room::Kept;
use crate::delivery::catch_up::{self, Lap, Page};
use crate::delivery::inbox::{Backlog, Style};
use crate::dialect::request::Seen;
use crate::dialect::speech::{Notice, Receipts};
use crate::outcome::{Outcome, Said};

/// Changes of presence that are told at once; the next ones follow when these are written.
const PRESENCE: usize = 64;
/// Clients that a stopping server sends away come back spread over this time.
const COME_BACK_WITHIN_MS: f64 = 500.0;

/// What a user is told instead of their unread messages.
const UNREADABLE: &str =
    "Your unread messages cannot be read now. They are kept, and are shown as soon as they can be read.";
/// …and where that will last.
const REFUSED: &str = "Your unread messages cannot be read: the server's store refuses to hand them out. They are kept, but \
    the server's operator must repair this first; please tell them.";

impl Session {
    /// Fills the outgoing buffer with what is due.
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
            // What was kept comes first.
            return false;
        }
        match self.answers.take() {
            None => return false,
            Some(Answer::Bytes(bytes)) => self.wire.out.push(&bytes),
            Some(Answer::Page(bytes, kept)) => {
                self.allowance.charge(Instant::now(), allowance::of_bytes(bytes.len()));
                self.wire.out.push_page(&bytes, kept);
            }
            Some(Answer::Outcome(said, outcome)) => self.outcome(&said, outcome),
        }
        if self.manner().asks {
            self.prompt();
        }
        true
    }

    fn outcome(&mut self, said: &Said, outcome: Outcome) {
        let online = self.server.hub.is_online(&said.to);
        let comes_back = match &outcome {
            Outcome::Stored(appended, _) => !appended.duplicate,
            Outcome::Refused(_) | Outcome::Later => false,
        };
        if self.manner().mirrors && !comes_back {
            // The feed will not bring it back, or as something said elsewhere.
            self.member.outlet.mail().take_sent_here(&said.client_id);
        }
        if !self.manner().has_ids {
            match &outcome {
                Outcome::Later => self.unsure.add(said),
                Outcome::Stored(..) | Outcome::Refused(_) => self.unsure.settle(said),
            }
        }
        let answer = self.dialect().outcome(said, outcome, online);
        answer.iter().for_each(|answer| self.wire.out.push(answer));
    }

    /// Asks for the next line, and says who else is online.
    fn prompt(&mut self) {
        let prompt = self.server.hub.with_others(&self.member.name, |others| self.dialect().prompt(others));
        self.allowance.charge(Instant::now(), allowance::of_bytes(prompt.online.len()));
        self.wire.out.push(prompt.online.as_bytes());
        self.wire.out.push(prompt.question.as_bytes());
    }

    /// The end of a greeting that asks for a line, once everything kept is shown or it takes too long.
    fn greet(&mut self) -> bool {
        let Opening::Until(deadline) = self.opening else { return false };
        let shows = !self.wire.out.is_broken() && !self.member.outlet.mail().inbox.is_live();
        if shows && Instant::now() < deadline {
            return false;
        }
        self.opening = Opening::Over;
        self.prompt();
        true
    }

    /// Whether events are still sent: not when the session ends, unless it was promised what is unseen.
    fn sends_events(&self) -> bool {
        self.closing.as_ref().is_none_or(|closing| closing.owes_unseen)
            && !self.receipts.marks.is_full()
            && !self.wire.out.is_broken()
    }

    /// Whether the next page of a lap is wanted.
    pub(super) fn wants_page(&self) -> bool {
        self.sends_events() && self.replay.page.len() == 0
    }

    fn replay_next(&mut self) -> bool {
        if !self.sends_events() {
            return false;
        }
        if let Some(event) = self.replay.page.next() {
            if self.replay.page.len() == 0 {
                self.replay.kept = Kept::default();
            }
            self.replay_event(&event);
            return true;
        }
        if self.replay.pages.is_none() {
            let backlog = self.member.outlet.mail().inbox.begin();
            if let Some(backlog) = backlog {
                self.begin_lap(backlog);
            }
        }
        false
    }

    fn begin_lap(&mut self, backlog: Backlog) {
        let Backlog { mut known, unseen, gaps, lost } = backlog;
        // A gap begins where the queue was dropped, and in the other lane more may have been sent by an earlier lap.
        let noted = |conversation: &ConversationId| unseen.is_some() || gaps.contains_key(conversation);
        let mut mail = self.member.outlet.mail();
        for (conversation, seq) in self.receipts.marks.iter().filter(|(conversation, _)| noted(conversation))
        {
            mail.inbox.note_sent(conversation, seq, false);
        }
        let mut sent: BTreeMap<ConversationId, u64> = BTreeMap::new();
        for (conversation, seq, own) in self.receipts.sent.iter() {
            if noted(conversation) {
                mail.inbox.note_sent(conversation, seq, own);
            }
            let last = sent.entry(conversation.clone()).or_insert(seq);
            *last = seq.max(*last);
        }
        drop(mail);
        if lost {
            // The unseen leave out what this user said elsewhere; lines do not show it.
            sent.into_iter().for_each(|(conversation, seq)| _ = known.entry(conversation).or_insert(seq));
        }
        self.replay.style = unseen.unwrap_or(Style::Live);
        let lap = Lap { user: self.member.name.clone(), known, unseen: unseen.is_some(), gaps };
        self.replay.pages = Some(catch_up::start(&self.server, lap));
    }

    /// A page arrived, or the lap broke off.
    pub(super) fn take_page(&mut self, page: Option<Page>) {
        match page {
            Some(Page::Unseen(from)) => self.member.outlet.mail().inbox.reads_unseen_from(from),
            Some(Page::Events(events, kept)) => {
                (self.replay.page, self.replay.kept) = (events.into_iter(), kept);
            }
            Some(Page::Unreadable) => self.tell(Notice::Unreadable(UNREADABLE)),
            Some(Page::Refused) => self.tell(Notice::Unreadable(REFUSED)),
            Some(Page::End(position)) => {
                self.replay.pages = None;
                let passed = self.server.hub.has_passed(position);
                let live = self.member.outlet.mail().inbox.finish(position, passed);
                if live && !std::mem::replace(&mut self.replay.told_live, true) {
                    self.tell(Notice::Live);
                }
            }
            // Only when the server's tasks are aborted: the session ends with them.
            None => self.replay.pages = None,
        }
    }

    fn replay_event(&mut self, event: &Event) {
        let own = !event.is_incoming_for(&self.member.name);
        let unwanted = !self.manner().mirrors && own
            || self.replay.only_since.is_some_and(|login| login.is_before(event.at) == Some(true))
            || !self.member.outlet.mail().inbox.show(event, own);
        if unwanted {
            return;
        }
        let kept = match self.replay.style {
            Style::Stored => true,
            Style::SinceLogin(login) => login
                .is_before(event.at)
                .unwrap_or_else(|| !self.member.outlet.mail().inbox.came_since(event)),
            Style::Live => false,
        };
        if kept && !std::mem::replace(&mut self.replay.told_header, true) {
            self.wire.out.push(self.dialect().kept_header().as_bytes());
        }
        self.wire.out.push(&self.dialect().replayed(event, kept));
        self.sent(event);
    }

    fn live(&mut self) -> bool {
        if !self.sends_events() {
            return false;
        }
        if !self.replay.told_live {
            if !self.member.outlet.mail().inbox.is_live() {
                return false;
            }
            self.replay.told_live = true;
            self.tell(Notice::Live);
        }
        let Some(event) = self.member.outlet.mail().inbox.next() else { return false };
        self.wire.out.push(event.live(self.dialect()));
        if let Some(received) = event.received().filter(|_| event.event().is_incoming_for(&self.member.name))
        {
            self.receipts.unwritten.add(self.wire.out.end(), received);
        }
        self.sent(event.event());
        true
    }

    /// An event was put into the outgoing buffer.
    fn sent(&mut self, event: &Event) {
        let Event { conversation, seq, .. } = event;
        let seq = *seq;
        self.server.traces.written(conversation, seq, || self.place());
        match self.manner().receipts {
            Receipts::Transport => {
                self.receipts.marks.add(self.wire.out.end(), conversation, seq);
                self.confirm_soon();
            }
            Receipts::Client => {
                self.receipts.sent.advance(conversation, seq, !event.is_incoming_for(&self.member.name));
            }
        }
    }

    fn notice(&mut self) -> bool {
        let seen = self.member.outlet.mail().seen_elsewhere.pop_first();
        if let Some((conversation, seq)) = seen {
            self.tell(Notice::Seen(Seen { conversation, seq }));
            return true;
        }
        let delivered = self.member.outlet.mail().delivered.pop_first();
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

    /// Once everything is answered, the client is told to come back.
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
        // Between 0 and 500, so nothing is cut off.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 500")]
        let reconnect_after_ms = wait as u64;
        self.tell(Notice::Bye(reason, reconnect_after_ms));
        true
    }
}
