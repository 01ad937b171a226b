//! Readings as the metadata of a message; existing programs display the keys in this order.

use std::sync::{Mutex, PoisonError};

use protocol::{Metadata, Timestamp};
use serde_json::{Map, Value, json};

use crate::sensor::{Sensor, one_decimal};

/// Number of temperatures in the answer to `range`.
const RANGE: usize = 5;

/// The sensor, shared by all tasks.
pub(crate) struct Readings(Mutex<Box<dyn Sensor>>);

impl Readings {
    pub(crate) fn of(sensor: Box<dyn Sensor>) -> Self {
        Self(Mutex::new(sensor))
    }

    /// `{"temperature":22.9,"unit":"C","time":T}`
    pub(crate) fn one(&self) -> Metadata {
        let [temperature] = self.take();
        metadata([("temperature", json!(temperature)), ("unit", json!("C"))])
    }

    /// `{"temps":[…],"time":T}`
    pub(crate) fn range(&self) -> Metadata {
        metadata([("temps", json!(self.take::<RANGE>()))])
    }

    fn take<const N: usize>(&self) -> [f64; N] {
        // A sensor that has panicked may still work.
        let mut sensor = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::array::from_fn(|_| one_decimal(sensor.celsius()))
    }
}

fn metadata<const N: usize>(entries: [(&str, Value); N]) -> Metadata {
    let time = ("time", json!(Timestamp::now()));
    let object: Map<String, Value> =
        entries.into_iter().chain([time]).map(|(key, value)| (key.to_owned(), value)).collect();
    Metadata::new(object).expect("a few numbers are small and flat")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(f64);

    impl Sensor for Fixed {
        fn celsius(&mut self) -> f64 {
            self.0 += 0.5;
            self.0
        }
    }

    #[test]
    fn the_keys_stand_in_this_order() {
        let readings = Readings::of(Box::new(Fixed(22.42)));
        let update = readings.one().to_json();
        assert!(update.starts_with(r#"{"temperature":22.9,"unit":"C","time":"20"#), "{update}");
        let range = readings.range().to_json();
        assert!(range.starts_with(r#"{"temps":[23.4,23.9,24.4,24.9,25.4],"time":"20"#), "{range}");
    }
}
