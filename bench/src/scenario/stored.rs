//! The rate of acknowledged messages in a large store compared with an empty one.

use std::time::Duration;

use super::bench::{Bench, median_run};
use crate::load::{Closed, Outcome, Pair, Until, closed};
use crate::problem::Result;
use crate::system::{Running, System};
use crate::table::Row;

/// Messages in flight per sender.
const WINDOW: u32 = 64;

/// The runs of each kind, which alternate: a disk that is still writing earlier data is slow for both.
const ROUNDS: usize = 5;

/// The same run on an empty store and on one with very many messages, which were stored by the usual way; the median of several runs.
pub(super) async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let ours = bench.ours();
    let Some(system) = ours.first().copied() else { return Ok(()) };
    let Some(full) = bench.start("stored", system).await else { return Ok(()) };
    fill(bench, system, &full).await?;
    let Running::Launcher(launcher) = &full else { return Ok(()) };
    let note = format!("{} MB in the data directory", megabytes(launcher.stored_bytes()?));
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let Some(empty) = bench.start("stored", system).await else { return Ok(()) };
        without.push(once(bench, system, &empty, round).await?);
        with.push(once(bench, system, &full, round).await?);
    }
    // Runs that are adjacent in time are compared: the machine may be a third slower a minute later.
    let mut shares: Vec<f64> =
        with.iter().zip(&without).map(|(with, without)| with.rate / without.rate).collect();
    shares.sort_by(f64::total_cmp);
    let [without, with] = [without, with].map(|runs| median_run(runs, |outcome| outcome.rate));
    let scenario = format!("{} stored", bench.options.stored);
    bench.report("none stored", system, Ok(Row::closed("none stored", system.label, &without)));
    bench.report(&scenario, system, Ok(Row { note, ..Row::closed(&scenario, system.label, &with) }));
    let [first, median_run, last] = [0, ROUNDS / 2, ROUNDS - 1].map(|n| 100.0 * shares[n]);
    println!(
        "{:<34} {median_run:.1} % of the rate with none ({first:.1} to {last:.1} % in {ROUNDS} pairs of runs)",
        ""
    );
    Ok(())
}

fn megabytes(bytes: u64) -> u64 {
    bytes / 1_000_000
}

async fn once(bench: &Bench<'_>, system: System, running: &Running, round: usize) -> Result<Outcome> {
    let (address, senders) = (running.address(system), bench.options.senders);
    let pairs = Pair::login(address, system.protocol, &format!("m{round}"), senders, true).await?;
    Ok(closed(pairs, bench.closed(WINDOW)).await?.1)
}

async fn fill(bench: &mut Bench<'_>, system: System, running: &Running) -> Result<()> {
    let (address, senders) = (running.address(system), bench.options.senders);
    let pairs = Pair::login(address, system.protocol, "f", senders, true).await?;
    let each = bench.options.stored / senders;
    let how = Closed { window: WINDOW, warm_up: Duration::ZERO, until: Until::Sent(each) };
    let (_, outcome) = closed(pairs, how).await?;
    bench.report(
        "  while they are stored",
        system,
        Ok(Row::closed("  while they are stored", system.label, &outcome)),
    );
    Ok(())
}
