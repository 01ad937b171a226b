//! One message at a time, from its sender's socket to its receiver's, beside one fsync.

use std::time::Duration;

use super::bare;
use super::bench::{Bench, bounded};
use crate::load::{Closed, Outcome, Pair, Until, closed};
use crate::problem::Result;
use crate::system::{Running, System};
use crate::table::{Row, millis};

const MESSAGES: u32 = 2000;

/// The fsync of the same minute, then every system.
pub(super) async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let fsync = bare::fsync(&bench.place)?;
    let row =
        Row { scenario: "one fsync of 4 KiB", system: "this disk", latency: Some(&fsync), ..Row::default() };
    bench.table.row(&row);
    for system in bench.systems.clone() {
        let Some(running) = bench.start("one message alone", system).await else { continue };
        let outcome = bounded(one_by_one(system, &running)).await;
        let row = outcome.as_ref().map(|outcome| {
            let over = outcome.latency.at(0.5).saturating_sub(fsync.at(0.5));
            let note = format!("{} ms more than one fsync", millis(over));
            Row { note, rate: None, ..Row::timed("one message alone", system.label, outcome) }
        });
        bench.report("one message alone", system, row.map_err(|error| error.to_string().into()));
    }
    Ok(())
}

async fn one_by_one(system: System, running: &Running) -> Result<Outcome> {
    let pairs = Pair::login(running.address(system), system.protocol, "a", 1, false).await?;
    let how = Closed { window: 1, warm_up: Duration::ZERO, until: Until::Sent(MESSAGES) };
    Ok(closed(pairs, how).await?.1)
}
