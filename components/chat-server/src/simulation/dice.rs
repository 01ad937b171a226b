//! The randomness of a simulation, from one seed.

use std::sync::Mutex;
use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug)]
pub(crate) struct Dice {
    state: Mutex<u64>,
    /// No randomness: every delay is this long, and no fault occurs.
    steady: Option<Duration>,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: Mutex::new(seed), steady: None }
    }

    /// For tests of a single behaviour: every step takes this long, and no fault occurs.
    pub(crate) fn steady(delay: Duration) -> Self {
        Self { state: Mutex::new(0), steady: Some(delay) }
    }

    pub(crate) fn next(&self) -> u64 {
        let mut state = self.state.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn one_in(&self, n: u64) -> bool {
        self.steady.is_none() && self.below(n) == 0
    }

    pub(crate) async fn pause(&self, most_ms: u64) {
        tokio::time::sleep(Duration::from_millis(self.below(most_ms))).await;
    }

    /// Mostly short, sometimes long, rarely longer than any timeout.
    pub(crate) async fn delay(&self) {
        if let Some(delay) = self.steady {
            return tokio::time::sleep(delay).await;
        }
        let most = match self.below(100) {
            0 => 2500,
            1..=5 => 400,
            _ => 20,
        };
        self.pause(most).await;
    }
}
