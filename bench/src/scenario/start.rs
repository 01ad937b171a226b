//! The start of the launcher on an empty directory until everything is ready, and its memory then.

use std::time::Instant;

use super::bench::Bench;
use crate::latency::Latency;
use crate::problem::Result;
use crate::system::{Launcher, pss_kib};
use crate::table::Row;

const STARTS: u32 = 9;

/// Several starts, each on a directory of its own.
pub(super) fn run(bench: &mut Bench<'_>) -> Result<()> {
    let mut latency = Latency::default();
    let mut note = String::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let launcher = Launcher::start(&bench.place, false)?;
        latency.note(begun.elapsed());
        note = memory(&launcher)?;
    }
    let row = Row {
        scenario: "start to everything ready",
        system: "P2P Chat",
        latency: Some(&latency),
        note,
        ..Row::default()
    };
    bench.table.row(&row);
    Ok(())
}

fn memory(launcher: &Launcher) -> Result<String> {
    let components = launcher.components()?;
    let mut total = 0;
    for (_, pid) in &components {
        total += pss_kib(*pid)?;
    }
    Ok(format!("{:.1} MiB PSS in {} components", f64::from(total) / 1024.0, components.len()))
}
