//! The table of results, printed row by row.

use std::time::Duration;

use crate::latency::Latency;
use crate::ledger::Faults;
use crate::load::Outcome;

/// The printed rows, as far as the end needs them.
#[derive(Debug, Default)]
pub struct Table {
    has_head: bool,
    ours: Faults,
    failed: bool,
}

#[derive(Debug, Default)]
pub struct Row<'a> {
    /// The scenario.
    pub scenario: &'a str,
    /// The system.
    pub system: &'a str,
    /// Messages per second.
    pub rate: Option<f64>,
    /// The latencies.
    pub latency: Option<&'a Latency>,
    /// The faults.
    pub faults: Option<Faults>,
    /// Whether the row affects the exit code.
    pub ours: bool,
    /// Any remark.
    pub note: String,
}

impl<'a> Row<'a> {
    /// A row of a closed loop, without its latencies.
    #[must_use]
    pub fn closed(scenario: &'a str, system: &'a str, outcome: &Outcome) -> Self {
        Self { scenario, system, rate: Some(outcome.rate), faults: Some(outcome.faults), ..Self::default() }
    }

    /// A row of an open loop, with its latencies.
    #[must_use]
    pub fn timed(scenario: &'a str, system: &'a str, outcome: &'a Outcome) -> Self {
        Self { latency: Some(&outcome.latency), ..Self::closed(scenario, system, outcome) }
    }
}

impl Table {
    /// Prints a row.
    pub fn row(&mut self, row: &Row<'_>) {
        if !std::mem::replace(&mut self.has_head, true) {
            println!(
                "{:<34} {:<20} {:>9} {:>8} {:>8} {:>8} {:>8}  {:<17} note",
                "scenario", "system", "a second", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "lost/twice/swap"
            );
        }
        let rate = row.rate.map_or(String::new(), |rate| format!("{rate:.0}"));
        let time = |time: &dyn Fn(&Latency) -> Duration| {
            row.latency.map_or(String::new(), |latency| millis(time(latency)))
        };
        let faults = row.faults.map_or(String::new(), |faults| {
            format!("{}/{}/{}", faults.lost, faults.duplicates, faults.reordered)
        });
        println!(
            "{:<34} {:<20} {rate:>9} {:>8} {:>8} {:>8} {:>8}  {faults:<17} {}",
            row.scenario,
            row.system,
            time(&|latency| latency.at(0.5)),
            time(&|latency| latency.at(0.99)),
            time(&|latency| latency.at(0.999)),
            time(&|latency| latency.longest()),
            row.note
        );
        if row.ours {
            self.ours += row.faults.unwrap_or_default();
        }
    }

    /// Prints that something could not be measured.
    pub fn failed(&mut self, scenario: &str, system: &str, ours: bool, error: &crate::problem::Error) {
        self.failed |= ours;
        self.row(&Row { scenario, system, note: format!("failed: {error}"), ..Row::default() });
    }

    /// Whether no row of ours has faults.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.ours.is_none() && !self.failed
    }
}

/// In milliseconds.
#[must_use]
pub fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_faults_count() {
        let lost = Some(Faults { lost: 1, ..Faults::default() });
        let mut table = Table::default();
        table.row(&Row { faults: lost, ..Row::default() });
        assert!(table.is_fine());
        table.row(&Row { faults: Some(Faults::default()), ours: true, ..Row::default() });
        assert!(table.is_fine());
        table.row(&Row { faults: lost, ours: true, ..Row::default() });
        assert!(!table.is_fine());
    }

    #[test]
    fn what_of_ours_could_not_be_measured_is_not_fine() {
        let mut table = Table::default();
        table.failed("relay", "mosquitto", false, &"gone".into());
        assert!(table.is_fine());
        table.failed("relay", "text", true, &"gone".into());
        assert!(!table.is_fine());
    }
}
