//! When messages of an open loop are to be sent: at a fixed rate, whatever the system does.
//!
//! Latency is counted from the intended time. A system that stalls for a second is so charged with every message that would have
//! been sent in it, not with the one that was under way ("coordinated omission", Gil Tene, "How NOT to Measure Latency").

use std::time::Duration;

/// An even offered load.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    begins: Duration,
    rate: f64,
}

impl Schedule {
    /// `rate` messages a second from `begins` on, counted since the run's beginning.
    #[must_use]
    pub fn new(begins: Duration, rate: f64) -> Self {
        Self { begins, rate }
    }

    /// When the `index`-th message is due.
    #[must_use]
    pub fn due(&self, index: u32) -> Duration {
        self.begins + Duration::from_secs_f64(f64::from(index) / self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Latency;

    #[test]
    fn a_stall_is_charged_to_every_message_that_was_due_in_it() {
        let schedule = Schedule::new(Duration::ZERO, 1000.0);
        let mut corrected = Latency::default();
        let mut naive = Latency::default();
        // A system that takes a message a millisecond without delay, but for 100 ms from 500 ms on.
        let (stall, again) = (Duration::from_millis(500), Duration::from_millis(600));
        for index in 0..1000 {
            let due = schedule.due(index);
            let stalled = due >= stall && due < again;
            let arrived = if stalled { again } else { due };
            corrected.note(arrived - due);
            // Who waits for the answer before sending the next one sees one slow message.
            naive.note(if due == stall { again - stall } else { Duration::ZERO });
        }
        let ms = |latency: &Latency, share| latency.at(share).as_secs_f64() * 1e3;
        assert!(ms(&naive, 0.99) < 1.0);
        assert!((ms(&corrected, 0.95) - 50.0).abs() < 2.0, "{}", ms(&corrected, 0.95));
        assert!((ms(&corrected, 0.99) - 90.0).abs() < 2.0, "{}", ms(&corrected, 0.99));
        assert!(ms(&corrected, 0.89) < 1.0);
    }

    #[test]
    fn messages_are_due_evenly() {
        let schedule = Schedule::new(Duration::from_secs(1), 4.0);
        assert_eq!(schedule.due(0), Duration::from_secs(1));
        assert_eq!(schedule.due(6), Duration::from_millis(2500));
    }
}
