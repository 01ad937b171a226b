//! A rate limit: a token bucket.

use std::time::Duration;

use tokio::time::Instant;

/// Tolerance for rounding errors of floating point sums.
const ROUNDING: f64 = 1e-6;

/// A token bucket that fills at `rate` tokens per second up to `burst`; each message takes one token.
#[derive(Debug, Clone)]
pub struct Allowance {
    rate: u32,
    burst: u32,
    left: f64,
    counted_at: Instant,
}

impl Allowance {
    /// A full bucket; a rate of 0 disables the limit.
    #[must_use]
    pub fn new(rate: u32, burst: u32, now: Instant) -> Self {
        Self { rate, burst, left: f64::from(burst), counted_at: now }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// The time at which a token will be available, if there is none now.
    pub fn take(&mut self, now: Instant) -> Result<(), Instant> {
        self.take_cost(now, 1.0)
    }

    /// Takes `cost` tokens. A cost above the bucket's capacity is taken once the bucket is full; the remaining debt delays the next
    /// request.
    ///
    /// # Errors
    /// The time at which enough tokens will be available, if there are too few now.
    pub fn take_cost(&mut self, now: Instant, cost: f64) -> Result<(), Instant> {
        if self.rate == 0 {
            return Ok(());
        }
        self.fill(now);
        let missing = cost.min(f64::from(self.burst)) - self.left;
        if missing > ROUNDING {
            // Rounded up to the timer's millisecond, so that there are enough tokens when it fires.
            let wait = missing / f64::from(self.rate);
            return Err(now + Duration::from_secs_f64(wait) + Duration::from_millis(1));
        }
        self.left -= cost;
        Ok(())
    }

    /// Charges for work already done, such as a page whose size is known only after it was read. The debt delays the next request.
    pub fn charge(&mut self, now: Instant, cost: f64) {
        if self.rate > 0 {
            self.fill(now);
            self.left -= cost;
        }
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.counted_at).as_secs_f64();
        self.counted_at = now;
        self.left = (self.left + elapsed * f64::from(self.rate)).min(f64::from(self.burst));
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
    async fn what_costs_more_takes_longer_and_debts_are_paid_first() {
        let now = Instant::now();
        let mut allowance = Allowance::new(10, 20, now);
        assert!((0..10).all(|_| allowance.take_cost(now, 0.1).is_ok()));
        allowance.take_cost(now, 19.0).unwrap();
        let at = allowance.take_cost(now, 30.0).unwrap_err();
        assert!((1.9..2.1).contains(&(at - now).as_secs_f64()), "a full bucket is enough for anything");
        allowance.take_cost(at, 30.0).unwrap();
        allowance.charge(at, 9.0);
        let next = allowance.take(at).unwrap_err();
        assert!((1.9..2.1).contains(&(next - at).as_secs_f64()), "ten and nine are owed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_of_nothing_is_no_limit() {
        let mut allowance = Allowance::new(0, 0, Instant::now());
        assert!((0..10_000).all(|_| allowance.take(Instant::now()).is_ok()));
    }
}
