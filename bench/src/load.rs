//! Load on one system: pairs of a sender and a receiver, and what became of their messages.

mod closed;
mod drain;
mod open;
mod pair;

use std::time::{Duration, Instant};

pub use self::closed::{Closed, Until, closed};
pub use self::drain::drain;
pub use self::open::{Open, open};
pub use self::pair::Pair;
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
