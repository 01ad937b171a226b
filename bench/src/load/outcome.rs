//! What a run has shown, and how it is timed.

use std::time::{Duration, Instant};

use crate::latency::Latency;
use crate::ledger::Faults;

/// Nothing may take longer to arrive after the last message was sent.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a run has shown.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Messages done in a second, while it was measured.
    pub rate: f64,
    /// How long each took.
    pub latency: Latency,
    /// What went wrong, over the whole run.
    pub faults: Faults,
    /// How many messages were sent over the whole run.
    pub sent: u64,
}

/// When a run began: intended times are counted from it.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Since then.
    #[must_use]
    pub fn now(self) -> Duration {
        self.0.elapsed()
    }
}
