//! Moves a text session's cursors: when the peer's TCP has acknowledged an event's last byte, it is seen.
//!
//! A peer that was cut off before that is shown the event again at its next login. Native clients say `seen` themselves.
//!
//! Behind a proxy TCP says what the proxy has, not the client. There an event is seen once the client has sent something a second or
//! more after the event was written: a client that was cut off is shown again what it may have had, and loses nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::Session;
use crate::session::marks::Marks;
use kit::send_queue::Unacknowledged;

/// A peer acknowledges at once or within a delayed acknowledgement's 40 ms.
const FIRST: Duration = Duration::from_millis(25);
/// A peer that is sent one event after the other is looked at no more often than this.
const LIVELY: Duration = Duration::from_millis(100);
/// A slow peer is looked at this often.
const SLOWEST: Duration = Duration::from_millis(500);

impl Session {
    /// The client sent something.
    pub(super) fn heard(&mut self, now: Instant) {
        if self.wire.is_proxied {
            self.confirm_up_to(self.receipts.answered.spoke(now));
        }
    }

    /// Something was sent that must be confirmed.
    pub(super) fn confirm_soon(&mut self) {
        if self.wire.is_proxied {
            // The oldest is shown once more, rather than that the session is sent nothing more.
            while self.receipts.marks.is_full() {
                self.receipts.marks.forget_oldest();
            }
            return;
        }
        if self.receipts.confirm_at.is_none() {
            self.receipts.pause = FIRST;
            let lively = self.receipts.confirmed_at.map(|at| at + LIVELY);
            self.receipts.confirm_at = Some(lively.into_iter().fold(Instant::now() + FIRST, Instant::max));
        }
    }

    pub(super) fn confirm_if_due(&mut self, now: Instant) {
        // A session that ends waits for nothing else.
        let due = self.receipts.confirm_at.is_some_and(|at| now >= at) || self.closing.is_some();
        if due && !self.receipts.marks.is_empty() {
            self.confirm(now);
        }
    }

    /// Asks what the peer has, and moves the cursors.
    pub(super) fn confirm(&mut self, now: Instant) {
        if self.receipts.marks.is_empty() || self.wire.is_proxied {
            return;
        }
        let written = self.wire.out.written();
        let acknowledged =
            match self.server.send_queue.ask(&self.wire.stream, self.wire.local, self.wire.peer) {
                Unacknowledged::Bytes(bytes) => written.saturating_sub(bytes),
                Unacknowledged::Unknown => written,
                Unacknowledged::Gone => {
                    // Nobody will ever know; what is not confirmed is shown again.
                    self.receipts.marks = Marks::default();
                    0
                }
            };
        let moved = self.confirm_up_to(acknowledged);
        self.receipts.pause = if moved { FIRST } else { (self.receipts.pause * 2).min(SLOWEST) };
        self.receipts.confirmed_at = Some(now);
        self.receipts.confirm_at = (!self.receipts.marks.is_empty()).then(|| now + self.receipts.pause);
    }

    /// The peer has everything up to this offset. Says whether that moved a cursor.
    fn confirm_up_to(&mut self, offset: u64) -> bool {
        let confirmed = self.receipts.marks.confirm(offset);
        let moved = !confirmed.is_empty();
        for (conversation, seq) in confirmed {
            self.server.hub.tell_delivered(&self.member.name, &conversation, seq);
            self.server.traces.seen(&self.member.name, &conversation, seq, || self.place());
            self.server.cursors.advance(&self.member.name, None, conversation, seq);
        }
        moved
    }
}
