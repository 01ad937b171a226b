//! Messages acknowledged a second with very many stored, beside none.

use std::time::Duration;

use super::Bench;
use crate::Result;
use crate::load::{Closed, Pair, Until, closed};
use crate::system::{Running, System};
use crate::table::Row;

/// Messages under way for each sender.
const WINDOW: u32 = 64;

/// The same run before and after very many messages were stored, through the front door, as everything else.
pub(super) async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let ours = bench.ours();
    let Some(system) = ours.first().copied() else { return Ok(()) };
    let Some(running) = bench.start("stored", system).await else { return Ok(()) };
    let before = rate(bench, system, &running, "none stored", String::new()).await?;
    fill(bench, system, &running).await?;
    let Running::Launcher(launcher) = &running else { return Ok(()) };
    let gib = megabytes(launcher.stored_bytes()?);
    let scenario = format!("{} stored", bench.options.stored);
    let after = rate(bench, system, &running, &scenario, format!("{gib} MB in the data directory")).await?;
    println!("{:<34} {:.1} % of the rate with none", "", 100.0 * after / before);
    Ok(())
}

fn megabytes(bytes: u64) -> u64 {
    bytes / 1_000_000
}

async fn rate(
    bench: &mut Bench<'_>,
    system: System,
    running: &Running,
    scenario: &str,
    note: String,
) -> Result<f64> {
    let prefix = format!("m{}", if note.is_empty() { "a" } else { "b" });
    let address = running.address(system.protocol);
    let pairs = Pair::login(address, system.protocol, &prefix, bench.options.senders, true).await?;
    let (_, outcome) = closed(pairs, bench.closed(WINDOW)).await?;
    bench.report(scenario, system, Ok(Row { note, ..Row::closed(scenario, system.label, &outcome) }));
    Ok(outcome.rate)
}

async fn fill(bench: &mut Bench<'_>, system: System, running: &Running) -> Result<()> {
    let (address, senders) = (running.address(system.protocol), bench.options.senders);
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
