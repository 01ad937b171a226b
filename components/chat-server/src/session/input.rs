//! From bytes to requests, while there is room for their answers.

use tokio::time::Instant;

use super::{HALF_CLOSED, Session};
use crate::dialect::framing::Message;
use crate::wire::Read;

/// How often the wait for a first message is extended because output is still in flight to a client, which may not read at all.
const EXTENSIONS: u8 = 3;
/// This many bytes in one read may be thousands of messages.
const MUCH: usize = 1024;

impl Session {
    /// Whether requests are taken now. While they are not, nothing is read, and TCP's flow control stops the peer.
    fn takes_requests(&self) -> bool {
        self.closing.is_none()
            && self.input.over.is_none()
            && self.input.place.is_none()
            && !self.answers.is_full()
    }

    /// Whether to read from the peer now.
    pub(super) fn reads(&self) -> bool {
        self.takes_requests() && self.input.ended_at.is_none()
    }

    /// When something is due although nothing arrives.
    pub(super) fn input_wakes_at(&self) -> Option<Instant> {
        if let Some((_, at)) = &self.input.over {
            return Some(*at);
        }
        self.input.silent_at.filter(|_| self.takes_requests())
    }

    /// Handles input while there is room for answers.
    pub(super) fn handle_input(&mut self) {
        let now = Instant::now();
        self.retry_held(now);
        // Buffered input comes first: a peer that exceeds its rate limit is stopped by TCP's flow control, and takes no memory here.
        if self.reads() && !self.wire.framer.has_line() {
            self.read(now);
        } else {
            self.input.held_up = true;
        }
        while self.takes_requests() {
            let Some(message) = self.next_message(now) else {
                if self.input.ended_at.is_some() {
                    self.close("it closed the connection", HALF_CLOSED, true);
                }
                break;
            };
            let request = self.dialect().interpret(&self.member.name, message);
            self.request(request, now);
        }
        self.wire.account(self.waiting_bytes());
    }

    /// The size of input that is not on its way to the store: beyond the rate limit, without a place in the queue, or being looked up.
    fn waiting_bytes(&self) -> usize {
        match &self.input.over {
            Some((request, _)) => request.size(),
            None if self.input.place.is_some() || self.answers.looks_up() => self.input.request_size,
            None => 0,
        }
    }

    fn read(&mut self, now: Instant) {
        match self.wire.read() {
            Read::Some(count) => {
                // What was in the kernel while nothing was read may be old.
                if !self.input.held_up {
                    self.client_sent(now);
                }
                self.input.read_much |= count >= MUCH;
                self.input.read_at = now;
                self.input.extensions = 0;
            }
            // While nothing was read, silence meant nothing.
            Read::Nothing if self.input.held_up => self.input.read_at = now,
            Read::Nothing => {}
            Read::End => self.input.ended_at = Some(now),
            // The event loop checks for this itself.
            Read::Refused => {}
        }
        self.input.held_up = false;
    }

    fn next_message(&mut self, now: Instant) -> Option<Message> {
        self.input.silent_at = None;
        let line = self.wire.framer.next_line();
        if line.is_some() || self.capabilities().silence.is_none() || !self.wire.framer.has_partial() {
            return line;
        }
        if self.input.ended_at.is_some() {
            return self.wire.finish();
        }
        let silent_at = self.input.read_at + self.wire.framer.idle_timeout()?;
        if now < silent_at {
            self.input.silent_at = Some(silent_at);
            return None;
        }
        if self.extends_silence() {
            (self.input.read_at, self.input.extensions) = (now, self.input.extensions + 1);
            self.input.silent_at = Some(now + self.wire.framer.idle_timeout()?);
            return None;
        }
        self.wire.framer.finish()
    }

    /// The client answers the greeting only once that has arrived, so no answer can be here while it is in flight.
    fn extends_silence(&self) -> bool {
        !self.wire.framer.knows_what_ends_messages()
            && self.input.extensions < EXTENSIONS
            && self.wire.is_in_flight(&self.server.send_queue)
    }

    /// Handles the request that was beyond the rate limit.
    fn retry_held(&mut self, now: Instant) {
        if self.closing.is_none()
            && self.input.over.as_ref().is_some_and(|(_, at)| now >= *at)
            && let Some((request, _)) = self.input.over.take()
        {
            self.request(request, now);
        }
    }
}
