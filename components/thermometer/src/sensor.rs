//! Sources of the temperature.

use kit::backoff::unit_random;

/// A temperature sensor.
pub trait Sensor: Send {
    /// The current temperature in degrees Celsius.
    fn celsius(&mut self) -> f64;
}

/// The target temperature of the simulated room.
const COMFORTABLE: f64 = 22.0;
/// Largest random change between two readings, up or down.
const STEP: f64 = 0.4;
/// The share of the difference to the target that is corrected between two readings.
const PULL: f64 = 0.1;

/// A simulated room: a random walk around 22 °C that, with these numbers, stays between 18 and 26 °C.
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

/// Rounds to one decimal, as existing programs expect.
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
