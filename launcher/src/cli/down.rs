//! `launcher down`: stops everything, and waits until it is.

use std::time::Duration;

use kit::{Exit, Failure};

use super::options::{Where, small_runtime};
use super::output;
use super::status::ask_for;
use crate::supervisor::control::{self, Request};

/// Longer than the grace of five components one after the other.
const PATIENCE: Duration = Duration::from_secs(60);

/// Stops the running launcher.
pub(super) fn down(place: &Where) -> Result<Exit, Failure> {
    ask_for(place, &Request::Down)?;
    let data = place.directories()?.data;
    if small_runtime()?.block_on(control::wait_until_gone(&data, PATIENCE)) {
        output::line("stopped");
        Ok(Exit::Fine)
    } else {
        let what = format!("still stopping after {} s; see 'launcher status'", PATIENCE.as_secs());
        Err(Failure::new(Exit::Failure, what))
    }
}
