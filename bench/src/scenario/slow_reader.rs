//! One reader that stops reading, and what the others notice of it.
//!
//! Both runs carry the same load: everybody at the offered rate, and one more sender at a rate of its own to the reader in question, so
//! fast that what it does not read fills every buffer between them. In one run it reads, in the other it stops.

use super::bench::{Bench, middle};
use crate::load::{Open, Outcome, Pair, open};
use crate::problem::Result;
use crate::system::{Running, System};
use crate::table::{Row, millis};

/// Messages a second to the reader in question.
const FLOOD: f64 = 5000.0;
/// Each way is run so often, in turns, for one second may be unlike the next.
const ROUNDS: usize = 5;

/// The others' p99 while it reads and while it does not, the middle of several runs.
pub(super) async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let most = bench.offered().await? / 2.0;
    for system in bench.systems.clone() {
        // Close to what a system can do at all, its p99 is chance.
        let rate =
            if bench.options.rate.is_some() { most } else { most.min(bench.highest(system).await? / 4.0) };
        // Said already, where it could not be measured.
        if rate == 0.0 {
            continue;
        }
        let Some(running) = bench.start("slow reader", system).await else { continue };
        if let Err(error) = compare(bench, system, &running, rate).await {
            bench.report("slow reader", system, Err(error));
        }
    }
    Ok(())
}

async fn compare(bench: &mut Bench<'_>, system: System, running: &Running, rate: f64) -> Result<()> {
    let mut runs: [Vec<Outcome>; 2] = Default::default();
    for round in 0..ROUNDS {
        for (way, stalled) in [false, true].into_iter().enumerate() {
            let prefix = format!("x{round}{way}");
            runs[way].push(once(bench, system, running, rate, stalled, &prefix).await?);
        }
    }
    let p99 = |outcome: &Outcome| outcome.latency.at(0.99);
    let [reads, stalls] = runs.map(|runs| middle(runs, |outcome| p99(outcome).as_secs_f64()));
    let change = 100.0 * (p99(&stalls).as_secs_f64() / p99(&reads).as_secs_f64() - 1.0);
    let scenario = format!("others at {rate:.0}/s, one floods");
    let note = format!("{rate:.0}/s offered, and {FLOOD:.0}/s to one more");
    bench.report(
        &scenario,
        system,
        Ok(Row { rate: None, note, ..Row::timed("others, while it reads", system.label, &reads) }),
    );
    let note = format!("p99 {change:+.1} % ({} ms)", millis(p99(&stalls)));
    let row = Row { rate: None, note, ..Row::timed("others, while it does not", system.label, &stalls) };
    bench.report(&scenario, system, Ok(row));
    Ok(())
}

/// The outcome of the others, with the faults of all.
async fn once(
    bench: &Bench<'_>,
    system: System,
    running: &Running,
    rate: f64,
    stalled: bool,
    prefix: &str,
) -> Result<Outcome> {
    let (address, protocol) = (running.address(system.protocol), system.protocol);
    let others = Pair::login(address, protocol, prefix, bench.options.senders, false).await?;
    let reader = Pair::login(address, protocol, &format!("{prefix}slow"), 1, false).await?;
    let how =
        Open { rate, warm_up: bench.options.warm_up(), measured: bench.options.measured(), stalled: false };
    let (others, reader) = tokio::join!(
        open(others, protocol, how),
        open(reader, protocol, Open { rate: FLOOD, stalled, ..how })
    );
    let mut outcome = others?;
    outcome.faults += reader?.faults;
    Ok(outcome)
}
