//! Moves the cursors of a session without explicit receipts: an event is read once the peer's TCP has acknowledged its last byte.
//!
//! A peer that disconnects before that is shown the event again at its next login. Native clients send `seen` themselves.
//!
//! Behind a proxy, TCP acknowledgements show only what the proxy has. There an event is read once the client has sent something a second or
//! more after the event was written: a client that was disconnected may be shown an event again, but loses none.

use std::time::Duration;

use tokio::time::Instant;

use super::Session;
use crate::session::unconfirmed::Unconfirmed;
use kit::send_queue::Unacknowledged;

/// A peer acknowledges at once or after a delayed acknowledgement's 40 ms.
const FIRST: Duration = Duration::from_millis(25);
/// The least interval of checks while events are sent one after the other: each moves a cursor in the store, and the next event marks the
/// conversation unread again, which together cost as much as storing a message.
const LIVELY: Duration = Duration::from_millis(250);
/// The interval of checks of a slow peer.
const SLOWEST: Duration = Duration::from_millis(500);

impl Session {
    /// The client sent something.
    pub(super) fn client_sent(&mut self, now: Instant) {
        if self.wire.is_proxied {
            self.confirm_up_to(self.receipts.proxy.on_input(now));
        }
    }

    /// An event was sent that must be confirmed.
    pub(super) fn confirm_soon(&mut self) {
        if self.wire.is_proxied {
            // The oldest event may be shown again; that is better than sending nothing more.
            while self.receipts.unconfirmed.is_full() {
                self.receipts.unconfirmed.forget_oldest();
            }
            return;
        }
        if self.receipts.unconfirmed.is_half_full() {
            let soon = Instant::now() + FIRST;
            self.receipts.confirm_at = self.receipts.confirm_at.map(|at| at.min(soon));
        }
        if self.receipts.confirm_at.is_none() {
            self.receipts.pause = FIRST;
            let lively = self.receipts.confirmed_at.map(|at| at + LIVELY);
            self.receipts.confirm_at = Some(lively.into_iter().fold(Instant::now() + FIRST, Instant::max));
        }
    }

    pub(super) fn confirm_if_due(&mut self, now: Instant) {
        // A session that is ending waits for nothing else.
        let due = self.receipts.confirm_at.is_some_and(|at| now >= at) || self.closing.is_some();
        if due && !self.receipts.unconfirmed.is_empty() {
            self.confirm(now);
        }
    }

    /// Determines what the peer has acknowledged, and moves the cursors.
    pub(super) fn confirm(&mut self, now: Instant) {
        if self.receipts.unconfirmed.is_empty() || self.wire.is_proxied {
            return;
        }
        let written = self.wire.out.written();
        let acknowledged = match self.wire.unacknowledged(&self.server.send_queue) {
            Unacknowledged::Bytes(bytes) => written.saturating_sub(bytes),
            Unacknowledged::Unknown => written,
            Unacknowledged::Gone => {
                // This cannot be found out any more; unconfirmed events are shown again.
                self.receipts.unconfirmed = Unconfirmed::default();
                0
            }
        };
        let moved = self.confirm_up_to(acknowledged);
        self.receipts.pause = if moved { FIRST } else { (self.receipts.pause * 2).min(SLOWEST) };
        self.receipts.confirmed_at = Some(now);
        self.receipts.confirm_at = (!self.receipts.unconfirmed.is_empty()).then(|| now + self.receipts.pause);
    }

    /// The peer has everything up to this offset. Returns whether that moved a cursor.
    fn confirm_up_to(&mut self, offset: u64) -> bool {
        let confirmed = self.receipts.unconfirmed.confirm(offset);
        let moved = !confirmed.is_empty();
        for (conversation, seq) in confirmed {
            self.server.hub.tell_delivered(&self.member.name, &conversation, seq);
            self.server.traces.seen(&self.member.name, &conversation, seq, || self.place());
            self.server.cursors.advance(&self.member.name, None, conversation, seq);
        }
        moved
    }
}
