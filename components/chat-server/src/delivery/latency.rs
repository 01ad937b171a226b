//! The delivery latency of this server: from a message's receipt until the kernel has taken its bytes for a recipient's socket.
//!
//! The life of a measurement: [`ReceiveTimes::receive`], when a session submits the message → [`ReceiveTimes::take`], when the feed brings
//! it back → with the event to each recipient's session, whose [`Unwritten`] holds it until the kernel took the event's last byte.
//!
//! Not measured: messages received elsewhere (over REST or by another chat server), and messages read from the store.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use protocol::{ClientId, UserName};
use tokio::time::Instant;

/// A few hundred messages are in flight to the store and back at most.
const SLOTS: u64 = 8192;
/// The lower bits of a slot are the time of receipt in microseconds, modulo 12 days; the upper ones identify the message.
const TIME: u64 = (1 << 40) - 1;
/// Set in every slot in use.
const USED: u64 = 1 << 63;
/// An [`Unwritten`] with a larger capacity releases its memory when it is empty.
const KEPT: usize = 16;

/// The receive times of messages that have not come back on the feed.
///
/// Needs no lock and no allocation per message. Bound: [`SLOTS`]. Overflow rule: if the hashes of two messages collide, the earlier one is
/// not measured.
#[derive(Debug)]
pub(crate) struct ReceiveTimes {
    begun: Instant,
    slots: Box<[AtomicU64]>,
}

impl Default for ReceiveTimes {
    fn default() -> Self {
        Self { begun: Instant::now(), slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl ReceiveTimes {
    /// Records that a message was received.
    pub(crate) fn receive(&self, sender: &UserName, client_id: &ClientId, now: Instant) {
        let (slot, tag) = self.place(sender, client_id);
        slot.store(tag | self.micros(now), Ordering::Relaxed);
    }

    /// When it was received, if that was here; the entry is removed.
    pub(crate) fn take(&self, sender: &UserName, client_id: &ClientId, now: Instant) -> Option<Instant> {
        let (slot, tag) = self.place(sender, client_id);
        let held = slot.load(Ordering::Relaxed);
        if held & !TIME != tag {
            return None;
        }
        slot.compare_exchange(held, 0, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        let micros = self.micros(now).wrapping_sub(held) & TIME;
        now.checked_sub(Duration::from_micros(micros))
    }

    fn place(&self, sender: &UserName, client_id: &ClientId) -> (&AtomicU64, u64) {
        let mut hasher = DefaultHasher::new();
        (sender, client_id).hash(&mut hasher);
        let hash = hasher.finish();
        let slot = usize::try_from(hash % SLOTS).expect("there are few slots");
        (&self.slots[slot], (hash | USED) & !TIME)
    }

    fn micros(&self, now: Instant) -> u64 {
        let micros = now.saturating_duration_since(self.begun).as_micros();
        u64::try_from(micros).unwrap_or(u64::MAX) & TIME
    }
}

/// Events in a session's output buffer: where each one ends, and when its message was received.
///
/// Bound: that of the buffer.
#[derive(Debug, Default)]
pub(crate) struct Unwritten(VecDeque<(u64, Instant)>);

impl Unwritten {
    /// An event that ends at this offset was put into the buffer.
    pub(crate) fn add(&mut self, end: u64, received: Instant) {
        self.0.push_back((end, received));
    }

    /// The kernel took everything up to here: calls `tell` with the receive times of those messages.
    pub(crate) fn written(&mut self, up_to: u64, mut tell: impl FnMut(Instant)) {
        while let Some((end, received)) = self.0.front().copied()
            && end <= up_to
        {
            self.0.pop_front();
            tell(received);
        }
        if self.0.is_empty() && self.0.capacity() > KEPT {
            self.0 = VecDeque::new();
        }
    }

    /// Discards what can no longer be written.
    pub(crate) fn forget(&mut self) {
        self.0 = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender() -> UserName {
        UserName::parse("alice").unwrap()
    }

    fn id(n: usize) -> ClientId {
        ClientId::parse(&format!("c{n}")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_a_receipt_is_known_once() {
        let receive_times = ReceiveTimes::default();
        // The second round begins shortly before the clock of the slots wraps around.
        for wait in [Duration::from_micros(TIME - 300), Duration::from_micros(700), Duration::from_secs(9)] {
            let received = Instant::now();
            receive_times.receive(&sender(), &id(1), received);
            assert_eq!(receive_times.take(&sender(), &id(2), received), None);
            tokio::time::advance(wait).await;
            assert_eq!(receive_times.take(&sender(), &id(1), Instant::now()), Some(received), "{wait:?}");
            assert_eq!(receive_times.take(&sender(), &id(1), Instant::now()), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_messages_in_flight_few_are_not_measured() {
        let (receive_times, now) = (ReceiveTimes::default(), Instant::now());
        (0..400).for_each(|n| receive_times.receive(&sender(), &id(n), now));
        let measured = (0..400).filter(|n| receive_times.take(&sender(), &id(*n), now) == Some(now)).count();
        assert!(measured > 380, "{measured}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_written_in_part_waits_for_the_rest() {
        let (mut unwritten, now) = (Unwritten::default(), Instant::now());
        for n in 1..=100 {
            unwritten.add(n * 10, now + Duration::from_secs(n));
        }
        let written = |unwritten: &mut Unwritten, up_to| {
            let mut told = 0;
            unwritten.written(up_to, |_| told += 1);
            told
        };
        assert_eq!([9, 10, 25, 25, 1000].map(|up_to| written(&mut unwritten, up_to)), [0, 1, 1, 0, 98]);
        assert_eq!(unwritten.0.capacity(), 0, "it holds memory while nothing waits");
    }
}
