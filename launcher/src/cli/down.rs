//! `launcher down`: stops everything, and waits until it has stopped.

use std::path::Path;
use std::time::{Duration, Instant};

use kit::{Exit, Failure};
use tokio::runtime::Runtime;

use super::ask::ask_for;
use super::options::{Where, small_runtime};
use super::output;
use super::waiting::Waiting;
use crate::supervisor::control::{self, Request, Response};

/// Longer than the stop grace of five components in succession.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A stop that is faster needs no explanation; after that the interval of updates.
const NEWS: Duration = Duration::from_secs(1);

pub(super) fn down(place: &Where) -> Result<Exit, Failure> {
    ask_for(place, &Request::Down)?;
    let data = place.directories()?.data;
    let runtime = small_runtime()?;
    let begin = Instant::now();
    let mut waiting = Waiting::default();
    while !runtime.block_on(control::wait_until_gone(&data, NEWS)) {
        if begin.elapsed() > TIMEOUT {
            waiting.clear();
            let what = format!("still stopping after {} s; see 'launcher status'", TIMEOUT.as_secs());
            return Err(Failure::new(Exit::Failure, what));
        }
        tell(&runtime, &data, &mut waiting);
    }
    waiting.clear();
    output::line("stopped");
    Ok(Exit::Fine)
}

/// The launcher may have ended by now; then there is nothing to print.
fn tell(runtime: &Runtime, data: &Path, waiting: &mut Waiting) {
    if let Ok(Response::Status { snapshot }) = runtime.block_on(control::request(data, &Request::Status)) {
        waiting.show(&snapshot.awaited);
    }
}
