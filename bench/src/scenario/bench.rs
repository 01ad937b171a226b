//! What every scenario works with.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::timeout;

use crate::load::{Closed, Outcome, Until};
use crate::options::Options;
use crate::problem::Result;
use crate::system::{self, Place, Running, System};
use crate::table::{Row, Table};

/// What sends a number of messages, however long that takes, is given up after this long.
const LIMIT: Duration = Duration::from_secs(60);

/// What every scenario works with.
pub(super) struct Bench<'a> {
    pub(super) options: &'a Options,
    pub(super) place: Place,
    pub(super) systems: Vec<System>,
    pub(super) table: Table,
    /// Half of what our text dialect relayed at most, once that is known.
    pub(super) offered: Option<f64>,
    /// What each system relayed at most, once that is known.
    pub(super) highest: HashMap<&'static str, f64>,
}

impl Bench<'_> {
    /// Takes what is wanted and installed, and names the rest.
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

    /// Those that keep messages for somebody who is away.
    pub(super) fn keeping(&self) -> Vec<System> {
        self.systems.iter().copied().filter(|system| system.protocol.keeps()).collect()
    }

    /// Ours.
    pub(super) fn ours(&self) -> Vec<System> {
        self.systems.iter().copied().filter(|system| system.is_ours()).collect()
    }

    pub(super) fn closed(&self, window: u32) -> Closed {
        Closed { window, warm_up: self.options.warm_up(), until: Until::Elapsed(self.options.measured()) }
    }

    /// Starts a system, or says why not.
    pub(super) async fn start(&mut self, scenario: &str, system: System) -> Option<Running> {
        match system.start(&self.place).await {
            Ok(running) => Some(running),
            Err(error) => {
                self.table.failed(scenario, system.label, system.is_ours(), &error);
                None
            }
        }
    }

    /// Prints what was measured, or why it was not.
    pub(super) fn report<'r>(&mut self, scenario: &str, system: System, row: Result<Row<'r>>) {
        match row {
            Ok(row) => self.table.row(&Row { ours: system.is_ours(), ..row }),
            Err(error) => self.table.failed(scenario, system.label, system.is_ours(), &error),
        }
    }
}

/// Of several runs the one with the middle figure.
pub(super) fn middle(mut runs: Vec<Outcome>, figure: impl Fn(&Outcome) -> f64) -> Outcome {
    runs.sort_by(|one, other| figure(one).total_cmp(&figure(other)));
    runs.swap_remove(runs.len() / 2)
}

/// Gives up after [`LIMIT`].
pub(super) async fn bounded<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match timeout(LIMIT, work).await {
        Ok(done) => done,
        Err(_) => Err(format!("it took more than {} s", LIMIT.as_secs()).into()),
    }
}
