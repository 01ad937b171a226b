//! Handles requests within the rate limit.

use std::sync::Arc;

use protocol::ConversationId;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{LAST_ANSWERS, Session, history, lookup};
use crate::delivery::retry_fence::RetryFence;
use crate::dialect::codec::{Capabilities, Reply};
use crate::dialect::request::{HistoryRequest, NewMessage, Request, Seen, TraceRequest};
use crate::outcome::SentMessage;

impl Session {
    /// Handles a request, or holds it until the rate limit allows it.
    pub(super) fn request(&mut self, request: Request, now: Instant) {
        if let Err(at) = self.allowance.take_cost(now, request.cost()) {
            self.input.over = Some((request, at));
            return;
        }
        self.input.request_size = request.size();
        self.server.metrics.requests.add(1);
        match request {
            Request::Nothing => {}
            Request::Invalid(bytes) | Request::TooLong(bytes) => self.answers.bytes(bytes),
            Request::Ping(nonce) => self.answers.bytes(self.dialect().reply(Reply::Pong(nonce))),
            Request::Message(outgoing) => self.send_message(*outgoing),
            Request::Trace(request) => self.trace(&request),
            Request::Lookup(line) => self.look_up(line),
            Request::Check => self.check(now),
            Request::Seen(seen) => self.seen(seen),
            Request::History(request) => self.history(request),
            Request::Exit => self.close("it said exit", LAST_ANSWERS, false),
        }
    }

    fn send_message(&mut self, NewMessage { to, draft, traced }: NewMessage) {
        let Capabilities { has_ids, mirrors, .. } = self.capabilities();
        let draft = if *has_ids { draft } else { self.in_doubt.recognise(draft) };
        self.server.traces.accepted(&draft, traced, || self.place());
        let sent = SentMessage::new(to, &draft);
        // A note to self comes back as an event, as to any recipient.
        if *mirrors && !draft.conversation.is_note_to_self() {
            self.member.handle.mail().sends(&draft.client_id);
        }
        // Without ids, a person sees which messages were not saved, so later ones need not wait for them.
        let fence = if *has_ids { self.fence.clone() } else { RetryFence::NONE };
        let (outcome, waiting) = self.server.appender.offer(draft, &fence);
        // Meanwhile the session writes and notices a shutdown; only its peer waits.
        self.input.place = waiting;
        self.answers.message(sent, outcome);
    }

    fn look_up(&mut self, line: String) {
        let (answer, receiver) = oneshot::channel();
        let (server, sender) = (Arc::clone(&self.server), self.member.name.clone());
        let (dialect, in_doubt) = (self.dialect(), self.in_doubt.clone());
        let refused = self.wire.end();
        self.server.spawn(async move {
            // A rejected connection releases the memory of its request at once.
            let found = refused
                .run_until_cancelled(lookup::answer(&server, dialect, &sender, &line, &in_doubt))
                .await;
            // A session that has ended needs no answer; the message is stored anyway.
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
        self.member.handle.mail().inbox.check();
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
        self.server.spawn(async move {
            // A session that has ended needs no page.
            let _ = page.send(history::answer(&server, dialect, conversation, request, may_be_long).await);
        });
        self.answers.pending(receiver);
    }
}
