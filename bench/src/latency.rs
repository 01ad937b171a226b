//! A distribution of latencies, to three significant digits.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Latencies from a microsecond to a minute; others are clamped to that range.
#[derive(Debug, Clone)]
pub struct Latency(Histogram<u64>);

const LOWEST_NANOS: u64 = 1_000;
const HIGHEST_NANOS: u64 = 60_000_000_000;

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(LOWEST_NANOS, HIGHEST_NANOS, 3);
        Self(histogram.expect("the bounds are in order and three digits are few"))
    }
}

impl Latency {
    /// Records a latency.
    pub fn note(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The latency that this share of them did not exceed.
    #[must_use]
    pub fn at(&self, share: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(share))
    }

    /// The maximum.
    #[must_use]
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    /// Merges another distribution.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_to_three_digits() {
        let mut latency = Latency::default();
        (1..=1000).for_each(|n| latency.note(Duration::from_micros(n)));
        let p99 = latency.at(0.99).as_secs_f64() * 1e6;
        assert!((p99 - 990.0).abs() < 1.0, "{p99}");
        let mut twice = latency.clone();
        twice.merge(&latency);
        assert_eq!(twice.at(0.5), latency.at(0.5));
    }

    #[test]
    fn what_is_too_long_counts_as_the_longest() {
        let mut latency = Latency::default();
        latency.note(Duration::from_secs(3600));
        assert!(latency.longest() >= Duration::from_secs(59));
    }
}
