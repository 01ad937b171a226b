//! How long a message takes through this server: from its receipt until the kernel has taken its bytes for a receiver's socket.
//!
//! The life of a measurement: [`Transit::receive`], when a session submits the message → [`Transit::take`], when the feed brings it
//! back → with the event to each receiving session, whose [`Unwritten`] holds it until the kernel took the event's last byte.
//!
//! What came in elsewhere (over REST, or at another chat server) and what is read from the store is not measured.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use protocol::{ClientId, UserName};
use tokio::time::Instant;

/// Messages in flight to the store and back are a few hundred at most.
const SLOTS: u64 = 8192;
/// The lower bits of a slot are the time of receipt in microseconds, modulo 12 days; the upper ones tell which message it is.
const TIME: u64 = (1 << 40) - 1;
/// Set in every slot that is in use.
const USED: u64 = 1 << 63;
/// An [`Unwritten`] that held more gives the memory back once it is empty.
const KEPT: usize = 16;

/// When messages that are not back from the store were received.
///
/// Neither a lock nor memory of its own for a message. Bound: [`SLOTS`]. Overflow rule: two messages whose hashes meet take the same
/// slot, and the earlier one is not measured.
#[derive(Debug)]
pub(crate) struct Transit {
    begun: Instant,
    slots: Box<[AtomicU64]>,
}

impl Default for Transit {
    fn default() -> Self {
        Self { begun: Instant::now(), slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Transit {
    /// A message was received.
    pub(crate) fn receive(&self, sender: &UserName, client_id: &ClientId, now: Instant) {
        let (slot, tag) = self.place(sender, client_id);
        slot.store(tag | self.micros(now), Ordering::Relaxed);
    }

    /// When it was, if it was here; once.
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

/// Events in a session's outgoing buffer: where each one ends, and when its message was received.
///
/// Bound: what the buffer holds.
#[derive(Debug, Default)]
pub(crate) struct Unwritten(VecDeque<(u64, Instant)>);

impl Unwritten {
    /// An event was put into the buffer, and ends there.
    pub(crate) fn add(&mut self, end: u64, received: Instant) {
        self.0.push_back((end, received));
    }

    /// The kernel took everything up to here: tells when the messages in it were received.
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

    /// Nobody gets what was not written.
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
        let transit = Transit::default();
        // The second time begins shortly before the clock of the slots begins again.
        for wait in [Duration::from_micros(TIME - 300), Duration::from_micros(700), Duration::from_secs(9)] {
            let received = Instant::now();
            transit.receive(&sender(), &id(1), received);
            assert_eq!(transit.take(&sender(), &id(2), received), None);
            tokio::time::advance(wait).await;
            assert_eq!(transit.take(&sender(), &id(1), Instant::now()), Some(received), "{wait:?}");
            assert_eq!(transit.take(&sender(), &id(1), Instant::now()), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_messages_in_flight_few_are_not_measured() {
        let (transit, now) = (Transit::default(), Instant::now());
        (0..400).for_each(|n| transit.receive(&sender(), &id(n), now));
        let measured = (0..400).filter(|n| transit.take(&sender(), &id(*n), now) == Some(now)).count();
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
