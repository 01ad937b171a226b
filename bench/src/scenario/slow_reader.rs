//! A reader that stops reading, and its effect on others.
//!
//! Both runs have the same load: everybody at the offered rate, and an additional sender to the reader in question, at a rate that fills
//! every buffer on the way if the reader does not read. In one run it reads, in the other it stops.

use super::bench::{Bench, median_run};
use crate::load::{Open, Outcome, Pair, open};
use crate::problem::Result;
use crate::system::{Running, System};
use crate::table::{Row, millis};

/// Messages per second to the reader in question.
const FLOOD: f64 = 5000.0;
/// The runs of each kind, which alternate because the machine's speed varies.
const ROUNDS: usize = 5;

/// The others' p99 with and without reading, as the median of several runs.
pub(super) async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let most = bench.offered().await? / 2.0;
    for system in bench.systems.clone() {
        // Close to a system's maximum its p99 is random.
        let rate =
            if bench.options.rate.is_some() { most } else { most.min(bench.highest(system).await? / 4.0) };
        // Already reported if it could not be measured.
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
    let [reads, stalls] = runs.map(|runs| median_run(runs, |outcome| p99(outcome).as_secs_f64()));
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
    let (address, protocol) = (running.address(system), system.protocol);
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
