//! What is measured, in the order it is printed.

mod alone;
mod backlog;
mod bare;
mod bench;
mod cost;
mod fan_out;
mod idle;
mod relay;
mod slow_reader;
mod start;
mod store;
mod stored;

use std::collections::HashMap;

use crate::options::{Options, Scenario};
use crate::problem::Result;
use crate::system::Place;
use crate::table::Table;
use bench::Bench;

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
            Scenario::Cost => cost::run(&mut bench).await?,
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
