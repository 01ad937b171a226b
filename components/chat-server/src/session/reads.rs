//! From bytes to requests, as long as there is room for their answers.

use tokio::time::Instant;

use super::{HALF_CLOSED, Session};
use crate::dialect::framing::Message;
use crate::wire::Read;

/// So often is a first message waited for again because something is in flight to its sender, who may not read at all.
const EXTENSIONS: u8 = 3;
/// So many bytes in one read may be thousands of messages.
const MUCH: usize = 1024;

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
            let request = self.dialect().interpret(&self.member.name, message);
            self.request(request, now);
        }
        self.wire.account(self.waiting_bytes());
    }

    /// What of the peer's is held and not on its way to the store: over its allowance, without a place in the queue, or looked up.
    fn waiting_bytes(&self) -> usize {
        match &self.intake.over {
            Some((request, _)) => request.size(),
            None if self.intake.place.is_some() || self.answers.looks_up() => self.intake.in_hand,
            None => 0,
        }
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
        if line.is_some() || self.manner().silence.is_none() || !self.wire.framer.has_rest() {
            return line;
        }
        if self.intake.ended_at.is_some() {
            return self.wire.framer.finish();
        }
        let silent_at = self.intake.read_at + self.wire.framer.patience()?;
        if now < silent_at {
            self.intake.silent_at = Some(silent_at);
            return None;
        }
        if self.extends_silence() {
            (self.intake.read_at, self.intake.extensions) = (now, self.intake.extensions + 1);
            self.intake.silent_at = Some(now + self.wire.framer.patience()?);
            return None;
        }
        self.wire.framer.finish()
    }

    /// Until the greeting has arrived, what is sent in answer to our acknowledgement cannot have come either.
    fn extends_silence(&self) -> bool {
        !self.wire.framer.knows_what_ends_messages()
            && self.intake.extensions < EXTENSIONS
            && self.wire.is_in_flight(&self.server.send_queue)
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
}
