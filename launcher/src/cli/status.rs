//! `launcher status`: the state of all components. The exit code is 0 if all is well, 1 if something is not, 2 if no launcher answers.

use kit::{Exit, Failure};

use super::ask::{as_json, measured, style};
use super::options::Where;
use super::overview::overview;
use super::{output, watch};
use crate::supervisor::load::Meter;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Refresh every second until ctrl-C
    #[arg(long)]
    watch: bool,
}

/// Prints the state.
pub(super) fn status(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let mut meter = Meter::default();
    if args.watch {
        return watch::watch(place, args.json, meter);
    }
    let snapshot =
        measured(place, &mut meter).map_err(|failure| Failure::new(Exit::NotRunning, failure.to_string()))?;
    if args.json {
        output::json(&as_json(&snapshot)?);
    } else {
        overview(&snapshot, style()).iter().for_each(|line| output::line(line));
    }
    Ok(if snapshot.is_healthy() { Exit::Fine } else { Exit::Failure })
}
