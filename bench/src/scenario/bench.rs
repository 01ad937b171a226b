//! The context of all scenarios.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::timeout;

use crate::load::{Closed, Outcome, Until};
use crate::options::Options;
use crate::problem::Result;
use crate::system::{self, Place, Running, System};
use crate::table::{Row, Table};

/// Time limit of work that sends a number of messages.
const LIMIT: Duration = Duration::from_secs(60);

/// The context of all scenarios.
pub(super) struct Bench<'a> {
    pub(super) options: &'a Options,
    pub(super) place: Place,
    pub(super) systems: Vec<System>,
    pub(super) table: Table,
    /// Half of the maximum relay rate of the text dialect, once measured.
    pub(super) offered: Option<f64>,
    /// The maximum relay rate of each system, once measured.
    pub(super) highest: HashMap<&'static str, f64>,
}

impl Bench<'_> {
    /// Selects the wanted and installed systems, and reports the others.
    pub(super) fn choose(&mut self) {
        for system in system::ALL.into_iter().filter(|system| system.is_wanted(self.options)) {
            match system.missing() {
                None => self.systems.push(system),
                Some(program) => {
                    println!(
                        "{} is not measured: {program} is not installed (bench/setup.sh does it)",
                        system.label
                    );
                }
            }
        }
    }

    /// The systems that store messages for offline recipients.
    pub(super) fn storing_systems(&self) -> Vec<System> {
        self.systems.iter().copied().filter(|system| system.protocol.stores_offline()).collect()
    }

    /// The project's own systems.
    pub(super) fn ours(&self) -> Vec<System> {
        self.systems.iter().copied().filter(|system| system.is_ours()).collect()
    }

    pub(super) fn closed(&self, window: u32) -> Closed {
        Closed { window, warm_up: self.options.warm_up(), until: Until::Elapsed(self.options.measured()) }
    }

    /// Starts a system, or reports why it cannot.
    pub(super) async fn start(&mut self, scenario: &str, system: System) -> Option<Running> {
        match system.start(&self.place).await {
            Ok(running) => Some(running),
            Err(error) => {
                self.table.failed(scenario, system.label, system.is_ours(), &error);
                None
            }
        }
    }

    /// Prints a result, or why there is none.
    pub(super) fn report<'r>(&mut self, scenario: &str, system: System, row: Result<Row<'r>>) {
        match row {
            Ok(row) => self.table.row(&Row { ours: system.is_ours(), ..row }),
            Err(error) => self.table.failed(scenario, system.label, system.is_ours(), &error),
        }
    }
}

/// The run with the median figure.
pub(super) fn median_run(mut runs: Vec<Outcome>, figure: impl Fn(&Outcome) -> f64) -> Outcome {
    runs.sort_by(|one, other| figure(one).total_cmp(&figure(other)));
    runs.swap_remove(runs.len() / 2)
}

/// Limits the time to [`LIMIT`].
pub(super) async fn bounded<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match timeout(LIMIT, work).await {
        Ok(done) => done,
        Err(_) => Err(format!("it took more than {} s", LIMIT.as_secs()).into()),
    }
}
