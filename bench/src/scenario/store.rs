//! Messages to offline recipients: the rate of acknowledgements, and whether all messages are there when the recipients reconnect.

use super::bench::Bench;
use crate::load::{Outcome, Pair, closed, drain};
use crate::problem::Result;
use crate::system::{Running, System};
use crate::table::Row;

/// Recipients that reconnect concurrently.
const AT_ONCE: usize = 20;

/// Each window on a store of its own.
pub(super) async fn run(bench: &mut Bench<'_>) -> Result<()> {
    for system in bench.storing_systems() {
        for window in bench.options.windows.clone() {
            let scenario = format!("store, {window} in flight each");
            let Some(running) = bench.start(&scenario, system).await else { continue };
            match stored(bench, system, &running, window).await {
                Ok((stored, fetched)) => {
                    bench.report(&scenario, system, Ok(Row::closed(&scenario, system.label, &stored)));
                    let fetch = format!("  fetched, {AT_ONCE} at once");
                    bench.report(&fetch, system, Ok(Row::timed(&fetch, system.label, &fetched)));
                }
                Err(error) => bench.report(&scenario, system, Err(error)),
            }
        }
    }
    Ok(())
}

async fn stored(
    bench: &Bench<'_>,
    system: System,
    running: &Running,
    window: u32,
) -> Result<(Outcome, Outcome)> {
    let address = running.address(system);
    let pairs = Pair::login(address, system.protocol, "s", bench.options.senders, true).await?;
    let (pairs, stored) = closed(pairs, bench.closed(window)).await?;
    let fetched = drain(address, system.protocol, pairs, AT_ONCE).await?;
    Ok((stored, fetched))
}
