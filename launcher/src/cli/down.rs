//! `launcher down`: stops everything, and waits until it is.

use std::path::Path;
use std::time::{Duration, Instant};

use kit::{Exit, Failure};
use tokio::runtime::Runtime;

use super::ask::ask_for;
use super::options::{Where, small_runtime};
use super::output;
use super::waiting::Waiting;
use crate::supervisor::control::{self, Request, Response};

/// Longer than the grace of five components one after the other.
const PATIENCE: Duration = Duration::from_secs(60);
/// A stop that takes no longer needs no explanation; after that it is told anew this often.
const NEWS: Duration = Duration::from_secs(1);

/// Stops the running launcher.
pub(super) fn down(place: &Where) -> Result<Exit, Failure> {
    ask_for(place, &Request::Down)?;
    let data = place.directories()?.data;
    let runtime = small_runtime()?;
    let begin = Instant::now();
    let mut waiting = Waiting::default();
    while !runtime.block_on(control::wait_until_gone(&data, NEWS)) {
        if begin.elapsed() > PATIENCE {
            waiting.clear();
            let what = format!("still stopping after {} s; see 'launcher status'", PATIENCE.as_secs());
            return Err(Failure::new(Exit::Failure, what));
        }
        tell(&runtime, &data, &mut waiting);
    }
    waiting.clear();
    output::line("stopped");
    Ok(Exit::Fine)
}

/// It may be gone by now, and then there is nothing to tell.
fn tell(runtime: &Runtime, data: &Path, waiting: &mut Waiting) {
    if let Ok(Response::Status { snapshot }) = runtime.block_on(control::request(data, &Request::Status)) {
        waiting.show(&snapshot.awaited);
    }
}
