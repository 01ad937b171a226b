//! The delay between retries: exponential, with full jitter.
//!
//! Full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015) spreads the reconnections of many clients
//! that lost the same server over the interval, so that they do not arrive together.

use std::cell::Cell;
use std::time::Duration;

/// Delays whose upper bound doubles from `base` to `cap`; each is drawn uniformly between zero and the current bound.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// The first delay is at most `base`, and none exceeds `cap`.
    #[must_use]
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0 }
    }

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        let bound = self.base.saturating_mul(2u32.saturating_pow(self.failures)).min(self.cap);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(unit_random())
    }

    /// The number of failures since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Records a success: the next delay is short again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

thread_local! {
    static SEEDED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Makes this thread's random numbers deterministic, for simulations that must be reproducible.
pub fn seed(seed: u64) {
    SEEDED.set(Some(seed));
}

/// A uniform random number from 0 to 1. If the system has no randomness, 1 is returned, which yields the full delay: safe, but without
/// jitter.
#[must_use]
pub fn unit_random() -> f64 {
    let draw = match SEEDED.get() {
        // A linear congruential generator (Knuth, MMIX); its upper half is random enough to spread delays.
        Some(state) => {
            let next = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            SEEDED.set(Some(next));
            Ok(u32::try_from(next >> 32).expect("the upper half of 64 bits"))
        }
        None => getrandom::u32(),
    };
    draw.map_or(1.0, |n| f64::from(n) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_below_a_bound_that_doubles_up_to_the_cap() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for bound in [100, 200, 400, 800, 1000, 1000] {
            assert!(backoff.next_delay() <= Duration::from_millis(bound));
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(100));
    }
}
