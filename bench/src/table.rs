//! The one table, printed row by row as it is measured.

use std::time::Duration;

use crate::latency::Latency;
use crate::ledger::Faults;
use crate::load::Outcome;

/// Rows that have been printed, as far as the end needs them.
#[derive(Debug, Default)]
pub struct Table {
    has_head: bool,
    ours: Faults,
    failed: bool,
}

/// One row.
#[derive(Debug, Default)]
pub struct Row<'a> {
    /// What was measured.
    pub scenario: &'a str,
    /// On what.
    pub system: &'a str,
    /// A second.
    pub rate: Option<f64>,
    /// How long it took.
    pub latency: Option<&'a Latency>,
    /// What went wrong.
    pub faults: Option<Faults>,
    /// Whether that decides the exit code.
    pub ours: bool,
    /// Whatever else there is to say.
    pub note: String,
}

impl<'a> Row<'a> {
    /// The row of a closed loop, whose latencies say little.
    #[must_use]
    pub fn closed(scenario: &'a str, system: &'a str, outcome: &Outcome) -> Self {
        Self { scenario, system, rate: Some(outcome.rate), faults: Some(outcome.faults), ..Self::default() }
    }

    /// The row of an open loop, or of anything else whose latencies count.
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
            format!("{}/{}/{}", faults.lost, faults.doubled, faults.reordered)
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

    /// Whether nothing of ours went wrong.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.ours.is_none() && !self.failed
    }
}

/// Milliseconds.
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
