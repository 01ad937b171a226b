//! What becomes of requests: within the allowance each is done, or begun, and its answer awaited.

use std::sync::Arc;

use protocol::ConversationId;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{LAST_ANSWERS, Session, history, lookup};
use crate::delivery::lane::Lane;
use crate::dialect::request::{HistoryRequest, Outgoing, Request, Seen, TraceRequest};
use crate::dialect::speech::{Manner, Reply};
use crate::outcome::Said;

impl Session {
    /// Does what is asked, or keeps it until the allowance suffices.
    pub(super) fn request(&mut self, request: Request, now: Instant) {
        if let Err(at) = self.allowance.take_cost(now, request.cost()) {
            self.intake.over = Some((request, at));
            return;
        }
        self.intake.in_hand = request.size();
        self.server.metrics.requests.add(1);
        match request {
            Request::Nothing => {}
            Request::Mistake(bytes) | Request::TooLong(bytes) => self.answers.bytes(bytes),
            Request::Ping(nonce) => self.answers.bytes(self.dialect().reply(Reply::Pong(nonce))),
            Request::Say(outgoing) => self.say(*outgoing),
            Request::Trace(request) => self.trace(&request),
            Request::Lookup(line) => self.look_up(line),
            Request::Check => self.check(now),
            Request::Seen(seen) => self.seen(seen),
            Request::History(request) => self.history(request),
            Request::Exit => self.close("it said exit", LAST_ANSWERS, false),
        }
    }

    fn say(&mut self, Outgoing { to, draft, traced }: Outgoing) {
        let Manner { has_ids, mirrors, .. } = self.manner();
        let draft = if *has_ids { draft } else { self.unsure.recognise(draft) };
        self.server.traces.accepted(&draft, traced, || self.place());
        let said = Said::new(to, &draft);
        // What one says to oneself comes back as an event, as to anybody.
        if *mirrors && !draft.conversation.is_note_to_self() {
            self.member.outlet.mail().sends(&draft.client_id);
        }
        // A person at a line sees which messages were not saved; behind none of them is anything held back.
        let lane = if *has_ids { self.lane.clone() } else { Lane::default() };
        let (outcome, waiting) = self.server.appender.offer(draft, &lane);
        // Meanwhile the session writes, and hears that the server stops; only its peer waits.
        self.intake.place = waiting;
        self.answers.message(said, outcome);
    }

    fn look_up(&mut self, line: String) {
        let (answer, receiver) = oneshot::channel();
        let (server, sender) = (Arc::clone(&self.server), self.member.name.clone());
        let (dialect, unsure) = (self.dialect(), self.unsure.clone());
        let refused = self.wire.end();
        self.server.tasks.spawn(async move {
            // What a refused connection holds is given back at once.
            let found =
                refused.run_until_cancelled(lookup::answer(&server, dialect, &sender, &line, &unsure)).await;
            // A session that is gone needs no answer; what it said is stored all the same.
            let _ = found.map(|found| answer.send(found));
        });
        self.answers.pending(receiver);
    }

    fn trace(&mut self, request: &TraceRequest) {
        let service = request.token.as_deref().is_some_and(|token| self.server.service_token.matches(token));
        let of = (!service).then_some(&self.member.name);
        let found = self.server.traces.find(&request.message, of);
        self.answers.bytes(self.dialect().reply(Reply::Trace(found)));
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
        let conversation = ConversationId::dm(&self.member.name, &request.with);
        let (page, receiver) = oneshot::channel();
        let (server, dialect) = (Arc::clone(&self.server), self.dialect());
        let may_be_long = !self.wire.out.has_enough();
        self.server.tasks.spawn(async move {
            // A session that is gone needs no page.
            let _ = page.send(history::answer(&server, dialect, conversation, request, may_be_long).await);
        });
        self.answers.pending(receiver);
    }
}
