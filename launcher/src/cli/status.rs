//! `launcher status`: how everything is.

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

/// Prints how everything is.
pub(super) fn status(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let mut meter = Meter::default();
    if args.watch {
        return watch::watch(place, args.json, meter);
    }
    let snapshot = measured(place, &mut meter)?;
    if args.json {
        output::json(&as_json(&snapshot)?);
        return Ok(Exit::Fine);
    }
    for line in overview(&snapshot, style()) {
        output::line(&line);
    }
    Ok(Exit::Fine)
}
