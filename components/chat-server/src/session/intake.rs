//! From bytes to requests, and what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use protocol::ConversationId;
use protocol::limits::PAGE_EVENTS;
use protocol::native::{HistoryPage, HistoryRequest, Seen, TraceRequest};
use tokio::sync::oneshot;
use tokio::time::Instant;
use transport::api::Range;

use super::{HALF_CLOSED, LAST_ANSWERS, Session};
use crate::access::login::is_in_flight;
use crate::delivery::lane::Lane;
use crate::delivery::outlet::Dialect;
use crate::dialect::book as book_dialect;
use crate::dialect::framing::Message;
use crate::dialect::native as native_dialect;
use crate::dialect::request::{Outgoing, Request};
use crate::dialect::text as text_dialect;
use crate::session::answers::{Answer, Said};
use crate::wire::Read;

/// So often is a first message waited for again because something is in flight to its sender, who may not read at all.
const EXTENSIONS: u8 = 3;
/// So many bytes in one read may be thousands of messages.
const MUCH: usize = 1024;
/// A page of history that is not there by then is asked for again by the client.
const HISTORY_TIMEOUT: Duration = Duration::from_secs(2);

impl Session {
    /// Whether requests are taken now. While they are not, nothing is read, and the peer's TCP holds it back.
    fn takes_requests(&self) -> bool {
        self.closing.is_none()
            && self.intake.over.is_none()
            && self.intake.place.is_none()
            && !self.answers.is_full()
    }

    /// Whether the peer is read now.
    pub(super) fn reads(&self) -> bool {
        self.takes_requests() && self.intake.ended_at.is_none()
    }

    /// When something is due though nothing comes in.
    pub(super) fn intake_wakes_at(&self) -> Option<Instant> {
        if let Some((_, at)) = &self.intake.over {
            return Some(*at);
        }
        self.intake.silent_at.filter(|_| self.takes_requests())
    }

    /// Takes what came in, as far as there is room for the answers.
    pub(super) fn intake(&mut self) {
        let now = Instant::now();
        self.retry_held(now);
        // What lies here comes first: a peer that sends faster than its allowance is held back by its TCP and fills no memory of ours.
        if self.reads() && !self.wire.framer.has_line() {
            self.read(now);
        } else {
            self.intake.held_up = true;
        }
        while self.takes_requests() {
            let Some(message) = self.next_message(now) else {
                if self.intake.ended_at.is_some() {
                    self.close("it closed the connection", HALF_CLOSED, true);
                }
                break;
            };
            let request = match self.dialect() {
                Dialect::Text => text_dialect::interpret(&self.member.name, &message),
                Dialect::Book => book_dialect::interpret(message),
                Dialect::Native => native_dialect::interpret(&self.member.name, &message),
            };
            self.request(request, now);
        }
        self.wire.account(self.intake.over.as_ref().map_or(0, |(request, _)| request.size()));
    }

    fn read(&mut self, now: Instant) {
        match self.wire.read() {
            Read::Some(count) => {
                // What lay in the kernel while nothing was read may be old.
                if !self.intake.held_up {
                    self.heard(now);
                }
                self.intake.read_much |= count >= MUCH;
                self.intake.read_at = now;
                self.intake.extensions = 0;
            }
            // While nothing was read, silence said nothing.
            Read::Nothing if self.intake.held_up => self.intake.read_at = now,
            Read::Nothing => {}
            Read::End => self.intake.ended_at = Some(now),
            // The session looks after that by itself.
            Read::Refused => {}
        }
        self.intake.held_up = false;
    }

    fn next_message(&mut self, now: Instant) -> Option<Message> {
        self.intake.silent_at = None;
        let line = self.wire.framer.next_line();
        if line.is_some() || !self.is_lines() || !self.wire.framer.has_rest() {
            return line;
        }
        if self.intake.ended_at.is_some() {
            return self.wire.framer.finish();
        }
        let silent_at = self.intake.read_at + self.patience()?;
        if now < silent_at {
            self.intake.silent_at = Some(silent_at);
            return None;
        }
        if self.extends_silence() {
            (self.intake.read_at, self.intake.extensions) = (now, self.intake.extensions + 1);
            self.intake.silent_at = Some(now + self.patience()?);
            return None;
        }
        self.wire.framer.finish()
    }

    /// How long nothing must come until what lies there is a message.
    fn patience(&self) -> Option<Duration> {
        // Only a newline ends a frame.
        if self.is_lines() { self.wire.framer.patience() } else { None }
    }

    /// Until the greeting has arrived, what is sent in answer to our acknowledgement cannot have come either.
    fn extends_silence(&self) -> bool {
        !self.wire.framer.knows_what_ends_messages()
            && self.intake.extensions < EXTENSIONS
            && is_in_flight(&self.server, &self.wire)
    }

    /// Goes on with what was over the allowance.
    fn retry_held(&mut self, now: Instant) {
        if self.closing.is_none()
            && self.intake.over.as_ref().is_some_and(|(_, at)| now >= *at)
            && let Some((request, _)) = self.intake.over.take()
        {
            self.request(request, now);
        }
    }

    fn request(&mut self, request: Request, now: Instant) {
        if let Err(at) = self.allowance.take_cost(now, request.cost()) {
            self.intake.over = Some((request, at));
            return;
        }
        match request {
            Request::Nothing => {}
            Request::Mistake(bytes) | Request::TooLong(bytes) => self.answers.bytes(bytes),
            Request::Ping(nonce) => self.answers.bytes(native_dialect::pong(nonce)),
            Request::Say(outgoing) => self.say(*outgoing),
            Request::Trace(request) => self.trace(&request),
            Request::BookLine(line) => self.book_line(line),
            Request::Check => self.check(now),
            Request::Seen(seen) => self.seen(seen),
            Request::History(request) => self.history(request),
            Request::Exit => self.close("it said exit", LAST_ANSWERS, false),
        }
    }

    fn say(&mut self, Outgoing { to, draft, traced }: Outgoing) {
        let draft = if self.is_lines() { self.unsure.recognise(draft) } else { draft };
        self.server.traces.accepted(&draft, traced, || self.place());
        let said = Said::new(to, &draft);
        // What one says to oneself comes back as an event, as to anybody.
        if !self.is_lines() && !draft.conversation.is_note_to_self() {
            self.member.outlet.mail().sends(&draft.client_id);
        }
        // A person at a line sees which messages were not saved; behind none of them is anything held back.
        let lane = if self.is_lines() { Lane::default() } else { self.lane.clone() };
        let (outcome, waiting) = self.server.appender.offer(draft, &lane);
        // Meanwhile the session writes, and hears that the server stops; only its peer waits.
        self.intake.place = waiting;
        self.answers.message(said, outcome);
    }

    fn book_line(&mut self, line: String) {
        let (answer, receiver) = oneshot::channel();
        let (server, sender) = (Arc::clone(&self.server), self.member.name.clone());
        let unsure = self.unsure.clone();
        self.server.tasks.spawn(async move {
            // A session that is gone needs no answer; what it said is stored all the same.
            let _ = answer.send(book_dialect::say(&server, sender, &line, &unsure).await);
        });
        self.answers.pending(receiver);
    }

    fn trace(&mut self, request: &TraceRequest) {
        let service = request.token.as_deref().is_some_and(|token| self.server.service_token.matches(token));
        let of = (!service).then_some(&self.member.name);
        self.answers.bytes(native_dialect::trace(self.server.traces.find(&request.message, of)));
    }

    fn check(&mut self, now: Instant) {
        self.confirm(now);
        self.member.outlet.mail().inbox.check();
    }

    fn seen(&mut self, seen: Seen) {
        let Seen { conversation, seq } = seen;
        self.server.hub.tell_seen(&self.member, &conversation, seq);
        self.server.hub.tell_delivered(&self.member.name, &conversation, seq);
        self.server.traces.seen(&self.member.name, &conversation, seq, || self.place());
        self.server.cursors.advance(&self.member.name, self.device.as_ref(), conversation, seq);
    }

    fn history(&mut self, request: HistoryRequest) {
        let HistoryRequest { with, before, limit } = request;
        let conversation = ConversationId::dm(&self.member.name, &with);
        let limit = limit.map_or(PAGE_EVENTS, |limit| PAGE_EVENTS.min(limit as usize)).max(1);
        let (page, receiver) = oneshot::channel();
        let server = Arc::clone(&self.server);
        self.server.tasks.spawn(async move {
            let read = server.backend.api.events(&conversation, Range::Before(before), limit);
            let read = tokio::time::timeout(HISTORY_TIMEOUT, server.backend.read_once(read)).await;
            let answer = match read {
                Ok(Ok(read)) => {
                    let (events, more) = (read.events, read.more);
                    native_dialect::history(HistoryPage { with, conversation, events, more })
                }
                Ok(Err(_)) | Err(_) => native_dialect::ask_again(),
            };
            // A session that is gone needs no page.
            let _ = page.send(Answer::Page(answer));
        });
        self.answers.pending(receiver);
    }
}
