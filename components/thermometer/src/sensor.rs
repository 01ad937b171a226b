//! Where the temperature comes from.

use kit::backoff::unit_random;

/// Measures.
pub trait Sensor: Send {
    /// The temperature now, in degrees Celsius.
    fn celsius(&mut self) -> f64;
}

/// What a room is kept at.
const COMFORTABLE: f64 = 22.0;
/// The most that a draught or the sun changes between two readings, up or down.
const STEP: f64 = 0.4;
/// How much of the difference to the comfortable temperature a heating makes up between two readings.
const PULL: f64 = 0.1;

/// A room without a real sensor in it: a random walk that is drawn back to 22 °C, and with these numbers never leaves 18 to 26 °C.
#[derive(Debug, Clone, Copy)]
pub struct Simulated(f64);

impl Default for Simulated {
    fn default() -> Self {
        Self(COMFORTABLE + 2.0 * STEP * (unit_random() - 0.5))
    }
}

impl Sensor for Simulated {
    fn celsius(&mut self) -> f64 {
        self.0 += PULL * (COMFORTABLE - self.0) + 2.0 * STEP * (unit_random() - 0.5);
        self.0
    }
}

/// To one decimal, which is what people and existing programs expect.
pub(crate) fn one_decimal(celsius: f64) -> f64 {
    (celsius * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_room_stays_habitable_and_does_not_jump() {
        let mut room = Simulated::default();
        let mut last = room.celsius();
        for _ in 0..10_000 {
            let now = room.celsius();
            assert!((18.0..=26.0).contains(&now) && (now - last).abs() <= 0.81, "{last} {now}");
            last = now;
        }
    }

    #[test]
    fn readings_have_one_decimal() {
        for (exact, shown) in [(22.949, "22.9"), (23.0, "23.0"), (-0.04, "-0.0"), (21.96, "22.0")] {
            assert_eq!(serde_json::to_string(&one_decimal(exact)).unwrap(), shown);
        }
    }
}
