//! The outcome of a run, and its clock.

use std::time::{Duration, Instant};

use crate::latency::Latency;
use crate::ledger::Faults;

/// Time limit for messages to arrive after the last one was sent.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// The outcome of a run.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Messages per second while measured.
    pub rate: f64,
    /// The latency of each message.
    pub latency: Latency,
    /// The faults over the whole run.
    pub faults: Faults,
    /// The number of messages sent over the whole run.
    pub sent: u64,
}

/// The start of a run, from which intended times are counted.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// Starts the clock.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    #[must_use]
    pub fn now(self) -> Duration {
        self.0.elapsed()
    }
}
