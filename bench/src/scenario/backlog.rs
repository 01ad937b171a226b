//! One receiver comes back to very many messages.

use super::bench::{Bench, bounded};
use crate::load::{Closed, Outcome, Pair, Until, closed, drain};
use crate::problem::Result;
use crate::system::{Running, System};
use crate::table::Row;

/// Messages under way while they are stored.
const WINDOW: u32 = 64;

/// From the login to the last of them.
pub(super) async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let waiting = bench.options.waiting;
    let scenario = format!("login with {waiting} waiting");
    for system in bench.storing_systems() {
        let Some(running) = bench.start(&scenario, system).await else { continue };
        let outcome = bounded(fetched(system, &running, waiting)).await;
        let row =
            outcome.map(|(outcome, note)| Row { note, ..Row::closed(&scenario, system.label, &outcome) });
        bench.report(&scenario, system, row);
    }
    Ok(())
}

async fn fetched(system: System, running: &Running, waiting: u32) -> Result<(Outcome, String)> {
    let address = running.address(system);
    let pairs = Pair::login(address, system.protocol, "b", 1, true).await?;
    let how = Closed { window: WINDOW, warm_up: std::time::Duration::ZERO, until: Until::Sent(waiting) };
    let (pairs, _) = closed(pairs, how).await?;
    let before = memory(running)?;
    let outcome = drain(address, system.protocol, pairs, 1).await?;
    let note = match (before, memory(running)?) {
        (Some(before), Some(after)) => format!("chat-server {before} KiB before, {after} KiB after"),
        (None, _) | (_, None) => String::new(),
    };
    Ok((outcome, note))
}

fn memory(running: &Running) -> Result<Option<u32>> {
    match running {
        Running::Launcher(launcher) => launcher.memory_kib("chat-server").map(Some),
        Running::Other(_) => Ok(None),
    }
}
