//! Reproducible random choices: `P2P_SEED` is the seed, which a test prints when it fails.

use std::time::Duration;

/// Uniform random numbers from a seed (xorshift64*, Vigna 2016).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// From `P2P_SEED`, or from the clock; also returns the seed.
    pub fn cast() -> (Self, u64) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let given = std::env::var("P2P_SEED").ok().map(|seed| seed.parse().expect("P2P_SEED is a number"));
        let seed = given.unwrap_or(u64::from(now.subsec_nanos()) | 1);
        (Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1), seed)
    }

    /// A generator for a part of the test, independent of the other parts.
    pub fn split(&mut self) -> Self {
        Self((self.roll(1 << 31) << 32 | self.roll(1 << 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below this, from 0.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }

    /// The random moment itself, not a wait for something.
    pub fn pause(&mut self, most_millis: u64) {
        std::thread::sleep(Duration::from_millis(self.roll(most_millis + 1)));
    }
}

/// Whether the long forms of the tests are enabled.
pub fn is_long() -> bool {
    std::env::var_os("P2P_LONG").is_some()
}

/// The number of rounds: few, with `P2P_LONG` many, or as set in `P2P_ROUNDS`.
pub fn rounds(short: usize, long: usize) -> usize {
    let asked =
        std::env::var("P2P_ROUNDS").ok().map(|rounds| rounds.parse().expect("P2P_ROUNDS is a number"));
    asked.unwrap_or(if is_long() { long } else { short })
}
