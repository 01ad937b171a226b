//! The flight recorder: writes what the supervisor tells of the components to `events.jsonl` and to crash reports.
//!
//! The life of an observation: the supervisor puts it into a bounded queue and never waits; a thread of our own takes it out, writes
//! it as a line ([`journal`]), and keeps of it what belongs into the next crash report ([`crash`]). What finds no place in the queue,
//! as when the disk stands still, is counted, and the count is written as soon as that can be.

pub mod crash;
mod journal;
mod rotator;

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use uuid::Uuid;

use crate::supervisor::events::{self, Observations, Observer};
use crate::supervisor::logs::launcher_log::Limits;

use crash::Chronicle;
use journal::Journal;

/// Observations that may wait for the disk; there are a few a second at worst.
const WAITING: usize = 4096;

/// How long the thread may take to write what is left.
const CLOSE: Duration = Duration::from_secs(2);

/// The recorder of one run.
#[derive(Debug)]
pub struct Recorder {
    done: Receiver<()>,
}

impl Recorder {
    /// Begins to write into a directory, within the bounds for one log.
    ///
    /// # Errors
    /// When the directory cannot be written to, or there is no thread.
    pub(crate) fn start(logs: &Path, run_id: Uuid, limits: Limits) -> io::Result<(Self, Observer)> {
        let mut journal = Journal::open(logs, run_id, limits)?;
        let chronicle = Chronicle::new(logs, run_id);
        let (observer, observations) = events::channel(WAITING);
        let (finished, done) = sync_channel(1);
        let run = move || {
            journal.began();
            record(observations, &mut journal, chronicle);
            journal.ended();
            // Who waited may have lost patience.
            let _ = finished.send(());
        };
        std::thread::Builder::new().name("recorder".to_owned()).spawn(run)?;
        Ok((Self { done }, observer))
    }

    /// Waits until all is written, now that the supervisor has ended; not for ever where the disk stands still.
    pub fn finish(self) {
        match self.done.recv_timeout(CLOSE) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("the last events were not written; is the disk stalled?")
            }
        }
    }
}

fn record(mut observations: Observations, journal: &mut Journal, mut chronicle: Chronicle) {
    let mut missed = 0;
    while let Some(observation) = observations.blocking_next() {
        journal.write(&observation);
        chronicle.take(observation);
        let now = observations.missed();
        if now > missed {
            journal.missed(now - missed);
            missed = now;
        }
    }
    chronicle.finish();
}

#[cfg(test)]
mod tests;
