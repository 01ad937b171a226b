//! How fast somebody may speak: a token bucket.

use std::time::Duration;

use tokio::time::Instant;

/// Fills at `rate` a second up to `burst`; each message takes one.
#[derive(Debug, Clone)]
pub struct Allowance {
    rate: u32,
    burst: u32,
    left: f64,
    counted_at: Instant,
}

impl Allowance {
    /// A full bucket; a rate of 0 is no limit.
    #[must_use]
    pub fn new(rate: u32, burst: u32, now: Instant) -> Self {
        Self { rate, burst, left: f64::from(burst), counted_at: now }
    }

    /// Takes one, or says when there will be one.
    ///
    /// # Errors
    /// When there is none now.
    pub fn take(&mut self, now: Instant) -> Result<(), Instant> {
        if self.rate == 0 {
            return Ok(());
        }
        let elapsed = now.saturating_duration_since(self.counted_at).as_secs_f64();
        self.counted_at = now;
        self.left = (self.left + elapsed * f64::from(self.rate)).min(f64::from(self.burst));
        if self.left < 1.0 {
            // Rounded up to the timer's millisecond, so that there is one when it fires.
            let missing = (1.0 - self.left) / f64::from(self.rate);
            return Err(now + Duration::from_secs_f64(missing) + Duration::from_millis(1));
        }
        self.left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_then_it_is_so_many_a_second() {
        let start = Instant::now();
        let mut allowance = Allowance::new(20, 100, start);
        let mut now = start;
        for _ in 0..140 {
            while let Err(at) = allowance.take(now) {
                assert!(at > now);
                now = at;
            }
        }
        let took = now - start;
        assert!((Duration::from_millis(1950)..Duration::from_millis(2100)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_of_nothing_is_no_limit() {
        let mut allowance = Allowance::new(0, 0, Instant::now());
        assert!((0..10_000).all(|_| allowance.take(Instant::now()).is_ok()));
    }
}
