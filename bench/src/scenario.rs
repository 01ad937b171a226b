//! What is measured, in the order it is printed.

mod alone;
mod backlog;
mod bare;
mod fan_out;
mod idle;
mod relay;
mod slow_reader;
mod start;
mod store;
mod stored;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::timeout;

use crate::codec::Protocol;
use crate::load::{Closed, Outcome, Until};
use crate::options::{Options, Scenario};
use crate::problem::Result;
use crate::system::{self, Place, Running, System};
use crate::table::{Row, Table};

/// What sends a number of messages, however long that takes, is given up after this long.
const LIMIT: Duration = Duration::from_secs(60);

/// What every scenario works with.
struct Bench<'a> {
    options: &'a Options,
    place: Place,
    systems: Vec<System>,
    table: Table,
    /// Half of what our text dialect relayed at most, once that is known.
    offered: Option<f64>,
    /// What each system relayed at most, once that is known.
    highest: HashMap<&'static str, f64>,
}

/// Runs what was asked for. True when nothing of ours went wrong.
///
/// # Errors
/// When the measuring itself fails.
pub async fn run(options: &Options) -> Result<bool> {
    let place = Place::find(options)?;
    let (offered, highest) = (options.rate, HashMap::new());
    let mut bench = Bench { options, place, systems: Vec::new(), table: Table::default(), offered, highest };
    bench.choose();
    for scenario in options.chosen() {
        match scenario {
            Scenario::Bare => bare::run(&mut bench)?,
            Scenario::Start => start::run(&mut bench)?,
            Scenario::Relay => relay::run(&mut bench).await?,
            Scenario::Store => store::run(&mut bench).await?,
            Scenario::Backlog => backlog::run(&mut bench).await?,
            Scenario::FanOut => fan_out::run(&mut bench).await?,
            Scenario::Idle => idle::run(&mut bench).await?,
            Scenario::SlowReader => slow_reader::run(&mut bench).await?,
            Scenario::Alone => alone::run(&mut bench).await?,
            Scenario::Stored => stored::run(&mut bench).await?,
        }
    }
    Ok(bench.table.is_fine())
}

impl Bench<'_> {
    /// Takes what is wanted and installed, and names the rest.
    fn choose(&mut self) {
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
    fn keeping(&self) -> Vec<System> {
        self.systems.iter().copied().filter(|system| system.protocol.keeps()).collect()
    }

    /// Ours.
    fn ours(&self) -> Vec<System> {
        self.systems.iter().copied().filter(|system| system.is_ours()).collect()
    }

    fn closed(&self, window: u32) -> Closed {
        Closed { window, warm_up: self.options.warm_up(), until: Until::Elapsed(self.options.measured()) }
    }

    /// Half of what our text dialect relays at most, measured now if it is not known.
    async fn offered(&mut self) -> Result<f64> {
        if let Some(offered) = self.offered {
            return Ok(offered);
        }
        let ours = system::ALL[0];
        debug_assert_eq!(ours.protocol, Protocol::Text);
        let offered = self.highest(ours).await? / 2.0;
        self.offered = Some(offered);
        Ok(offered)
    }

    /// What a system relays at most, measured now if it is not known.
    async fn highest(&mut self, system: System) -> Result<f64> {
        if let Some(highest) = self.highest.get(system.label) {
            return Ok(*highest);
        }
        let running = system.start(&self.place).await?;
        relay::highest(self, system, &running).await
    }

    /// Starts a system, or says why not.
    async fn start(&mut self, scenario: &str, system: System) -> Option<Running> {
        match system.start(&self.place).await {
            Ok(running) => Some(running),
            Err(error) => {
                self.table.failed(scenario, system.label, system.is_ours(), &error);
                None
            }
        }
    }

    /// Prints what was measured, or why it was not.
    fn report<'r>(&mut self, scenario: &str, system: System, row: Result<Row<'r>>) {
        match row {
            Ok(row) => self.table.row(&Row { ours: system.is_ours(), ..row }),
            Err(error) => self.table.failed(scenario, system.label, system.is_ours(), &error),
        }
    }
}

/// Of several runs the one with the middle figure.
fn middle(mut runs: Vec<Outcome>, figure: impl Fn(&Outcome) -> f64) -> Outcome {
    runs.sort_by(|one, other| figure(one).total_cmp(&figure(other)));
    runs.swap_remove(runs.len() / 2)
}

/// Gives up after [`LIMIT`].
async fn bounded<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match timeout(LIMIT, work).await {
        Ok(done) => done,
        Err(_) => Err(format!("it took more than {} s", LIMIT.as_secs()).into()),
    }
}
