//! Messages to online recipients.

use super::bench::Bench;
use crate::codec::Protocol;
use crate::load::{Open, Outcome, Pair, closed, open};
use crate::problem::Result;
use crate::system::{self, Running, System};
use crate::table::Row;

/// Closed loops first, then every system under the same offered load.
pub(super) async fn run(bench: &mut Bench<'_>) -> Result<()> {
    for system in bench.systems.clone() {
        let Some(running) = bench.start("relay", system).await else { continue };
        let highest = highest(bench, system, &running).await?;
        if bench.offered.is_none() && system.is_ours() {
            bench.offered = Some(highest / 2.0);
        }
    }
    let rate = bench.offered().await?;
    let scenario = format!("relay, {rate:.0}/s offered");
    for system in bench.systems.clone() {
        let Some(running) = bench.start(&scenario, system).await else { continue };
        let outcome = offered(bench, system, &running, rate).await;
        let row = outcome
            .as_ref()
            .map(|outcome| Row { rate: None, ..Row::timed(&scenario, system.label, outcome) });
        bench.report(&scenario, system, row.map_err(|error| error.to_string().into()));
    }
    Ok(())
}

impl Bench<'_> {
    /// Half of the maximum relay rate of the text dialect, measured now if it is not known.
    pub(super) async fn offered(&mut self) -> Result<f64> {
        if let Some(offered) = self.offered {
            return Ok(offered);
        }
        let ours = system::ALL[0];
        debug_assert_eq!(ours.protocol, Protocol::Text);
        let offered = self.highest(ours).await? / 2.0;
        self.offered = Some(offered);
        Ok(offered)
    }

    /// The maximum relay rate of a system, measured now if it is not known.
    pub(super) async fn highest(&mut self, system: System) -> Result<f64> {
        if let Some(highest) = self.highest.get(system.label) {
            return Ok(*highest);
        }
        let running = system.start(&self.place).await?;
        highest(self, system, &running).await
    }
}

/// The maximum rate over all windows.
async fn highest(bench: &mut Bench<'_>, system: System, running: &Running) -> Result<f64> {
    let mut highest = 0.0_f64;
    for window in bench.options.windows.clone() {
        let scenario = format!("relay, {window} in flight each");
        let outcome = at_most(bench, system, running, window).await;
        highest = highest.max(outcome.as_ref().map_or(0.0, |outcome| outcome.rate));
        let row = outcome.map(|outcome| Row::closed(&scenario, system.label, &outcome));
        bench.report(&scenario, system, row);
    }
    bench.highest.insert(system.label, highest);
    Ok(highest)
}

async fn at_most(bench: &Bench<'_>, system: System, running: &Running, window: u32) -> Result<Outcome> {
    let (address, prefix) = (running.address(system), format!("w{window}"));
    let pairs = Pair::login(address, system.protocol, &prefix, bench.options.senders, false).await?;
    Ok(closed(pairs, bench.closed(window)).await?.1)
}

async fn offered(bench: &Bench<'_>, system: System, running: &Running, rate: f64) -> Result<Outcome> {
    let address = running.address(system);
    let pairs = Pair::login(address, system.protocol, "o", bench.options.senders, false).await?;
    let how =
        Open { rate, warm_up: bench.options.warm_up(), measured: bench.options.measured(), stalled: false };
    open(pairs, system.protocol, how).await
}
