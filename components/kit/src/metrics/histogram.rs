//! Histograms of durations, from which Prometheus computes percentiles.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets in microseconds, in steps of about two and a half: from taking a place in a queue in memory to a hanging
/// disk.
const BOUNDS: [u64; 19] = [
    10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// A histogram of durations. An observation is two atomic additions, without lock or allocation.
#[derive(Debug)]
pub struct Histogram {
    /// One for each bound, and one for longer durations.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub const fn new() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BOUNDS.len() + 1], nanos: AtomicU64::new(0) }
    }

    /// Records a duration.
    pub fn note(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| bound * 1000 < nanos);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The cumulative count for each bound in seconds; the last one is the total count.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (String, u64)> {
        let bounds = BOUNDS.iter().map(|bound| Duration::from_micros(*bound).as_secs_f64().to_string());
        let counts = self.buckets.iter().scan(0, |sum, count| {
            *sum += count.load(Ordering::Relaxed);
            Some(*sum)
        });
        bounds.chain(["+Inf".to_owned()]).zip(counts)
    }

    /// The sum of all durations.
    pub(super) fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_in_every_bucket_that_it_fits_in() {
        let times = Histogram::new();
        for nanos in [0, 10_000, 10_001, 1_000_000, 10_000_000_000, 10_000_000_001, u64::MAX / 2] {
            times.note(Duration::from_nanos(nanos));
        }
        let counts: Vec<_> = times.cumulative().collect();
        let count = |bound: &str| counts.iter().find(|(name, _)| name == bound).unwrap().1;
        let bounds = ["0.00001", "0.000025", "0.0005", "0.001", "5", "10", "+Inf"];
        assert_eq!(bounds.map(count), [2, 3, 3, 4, 4, 5, 7]);
    }
}
