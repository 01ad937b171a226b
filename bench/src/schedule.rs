//! The intended times of an open loop's messages: at a fixed rate, whatever the system does.
//!
//! Latency is measured from the intended time. A system that stalls for a second is charged with every message that would have been sent
//! meanwhile, not only with the one in flight ("coordinated omission", Gil Tene, "How NOT to Measure Latency").

use std::time::Duration;

/// A constant offered load.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    begins: Duration,
    rate: f64,
}

impl Schedule {
    /// `rate` messages per second, beginning at `begins` after the start of the run.
    #[must_use]
    pub fn new(begins: Duration, rate: f64) -> Self {
        Self { begins, rate }
    }

    /// The intended time of the `index`-th message.
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
        // A system that takes a message per millisecond without delay, except for 100 ms from 500 ms on.
        let (stall, again) = (Duration::from_millis(500), Duration::from_millis(600));
        for index in 0..1000 {
            let due = schedule.due(index);
            let stalled = due >= stall && due < again;
            let arrived = if stalled { again } else { due };
            corrected.note(arrived - due);
            // A sender that waits for each answer observes a single slow message.
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
