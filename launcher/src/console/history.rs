//! What the components took over the last hour, as far as anybody was looking.

use std::collections::{BTreeMap, VecDeque};

use schemars::JsonSchema;
use serde::Serialize;

use crate::supervisor::Snapshot;
use crate::supervisor::status::Load;

/// Seconds that one sample stands for.
pub(super) const STEP: u64 = 10;
/// Seconds that are kept.
pub(super) const KEPT: u64 = 3600;

/// The launcher itself, among the components.
const LAUNCHER: &str = "launcher";

/// Samples of each component, at most one for each [`STEP`] of the last hour; what is older is dropped.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<String, VecDeque<Sample>>);

#[derive(Debug, Clone, Copy)]
struct Sample {
    step: u64,
    count: u32,
    cpu_percent: f64,
    memory_bytes: u64,
}

/// What a component took.
#[derive(Debug, Default, Clone, PartialEq, Serialize, JsonSchema)]
pub(super) struct Series {
    /// When, in seconds of Unix time; one entry for each that the lists below have.
    pub(super) at: Vec<u64>,
    /// How much of one processor it used, in percent.
    pub(super) cpu_percent: Vec<f64>,
    /// Its share of memory, in bytes.
    pub(super) memory_bytes: Vec<u64>,
}

impl History {
    /// Adds what was measured at a time, in seconds of Unix time.
    pub(super) fn add(&mut self, now: u64, snapshot: &Snapshot) {
        let components = snapshot.components.iter().map(|it| (it.name.as_str(), it.load));
        for (name, load) in components.chain([(LAUNCHER, snapshot.load)]) {
            if let Some(load) = load {
                self.sample(name, now / STEP, load);
            }
        }
        let oldest = now.saturating_sub(KEPT) / STEP;
        for samples in self.0.values_mut() {
            // A clock that was set back leaves samples of the future: they are no history.
            samples.retain(|sample| sample.step > oldest && sample.step <= now / STEP);
        }
        self.0.retain(|_, samples| !samples.is_empty());
    }

    fn sample(&mut self, name: &str, step: u64, load: Load) {
        let samples = match self.0.get_mut(name) {
            Some(samples) => samples,
            None => self.0.entry(name.to_owned()).or_default(),
        };
        match samples.back_mut().filter(|last| last.step == step) {
            Some(last) => {
                last.count += 1;
                last.cpu_percent += (load.cpu_percent - last.cpu_percent) / f64::from(last.count);
                last.memory_bytes = load.memory_bytes;
            }
            None => samples.push_back(Sample {
                step,
                count: 1,
                cpu_percent: load.cpu_percent,
                memory_bytes: load.memory_bytes,
            }),
        }
    }

    /// All of it, by component.
    pub(super) fn series(&self) -> BTreeMap<String, Series> {
        let series = |samples: &VecDeque<Sample>| Series {
            at: samples.iter().map(|sample| sample.step * STEP).collect(),
            cpu_percent: samples.iter().map(|sample| (sample.cpu_percent * 100.0).round() / 100.0).collect(),
            memory_bytes: samples.iter().map(|sample| sample.memory_bytes).collect(),
        };
        self.0.iter().map(|(name, samples)| (name.clone(), series(samples))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;

    #[test]
    fn an_hour_is_kept_in_steps_of_ten_seconds() {
        let mut history = History::default();
        let mut snapshot = sample::snapshot();
        snapshot.components.truncate(1);
        for now in (0..2 * KEPT).step_by(2) {
            snapshot.components[0].load.as_mut().unwrap().cpu_percent = (now % 10) as f64;
            history.add(1_000_000 + now, &snapshot);
        }
        let series = &history.series()["message-api"];
        assert_eq!(series.at.len() as u64, KEPT / STEP);
        assert_eq!(series.cpu_percent.last(), Some(&4.0), "the mean of 0, 2, 4, 6 and 8");
        assert!(series.at.windows(2).all(|pair| pair[1] - pair[0] == STEP));
        snapshot.components[0].load = None;
        history.add(1_000_000 + 4 * KEPT, &snapshot);
        assert_eq!(history.series().keys().collect::<Vec<_>>(), ["launcher"]);
        history.add(1000, &snapshot);
        assert_eq!(history.series()["launcher"].at, [1000], "the clock was set back");
    }
}
