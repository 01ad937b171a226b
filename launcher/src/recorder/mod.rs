//! The flight recorder: writes the supervisor's observations of components to `events.jsonl` and to crash reports.
//!
//! The life of an observation: the supervisor puts it into a bounded queue and never waits; the recorder's thread takes it, writes it as a
//! line ([`event_log`]), and remembers what the next crash report needs ([`crash`]). If the queue is full, as when the disk hangs,
//! observations are counted, and the count is written as soon as possible.

mod audience;
pub mod crash;
pub(crate) mod event_log;

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use uuid::Uuid;

use crate::supervisor::events::{self, Observations, Observer};
use crate::supervisor::logs::launcher_log::Limits;

pub(crate) use audience::{Audience, audience};
use crash::CrashContext;
use event_log::EventLog;

/// Observations in the queue; there are a few per second at most.
const WAITING: usize = 4096;

/// Time limit for writing the rest when the recorder stops.
const CLOSE: Duration = Duration::from_secs(2);

/// The recorder of one run.
#[derive(Debug)]
pub struct Recorder {
    done: Receiver<()>,
}

impl Recorder {
    /// Starts recording into a directory, within the limits of one log; the audience hears each line, too.
    ///
    /// # Errors
    /// If no thread can be created.
    pub(crate) fn start(
        logs: &Path,
        run_id: Uuid,
        limits: Limits,
        audience: Audience,
    ) -> io::Result<(Self, Observer)> {
        let mut event_log = EventLog::new(logs, run_id, limits, audience);
        let crash_context = CrashContext::new(logs, run_id);
        let (observer, observations) = events::channel(WAITING);
        let (finished, done) = sync_channel(1);
        let run = move || {
            event_log.began();
            record(observations, &mut event_log, crash_context);
            event_log.ended();
            drop(event_log);
            // The receiver may have timed out.
            let _ = finished.send(());
        };
        std::thread::Builder::new().name("recorder".to_owned()).spawn(run)?;
        Ok((Self { done }, observer))
    }

    /// Waits until everything is written after the supervisor has ended, with a time limit in case the disk hangs.
    pub fn finish(self) {
        match self.done.recv_timeout(CLOSE) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("the last events were not written; is the disk stalled?")
            }
        }
    }
}

fn record(mut observations: Observations, event_log: &mut EventLog, mut crash_context: CrashContext) {
    let mut missed = 0;
    while let Some(observation) = observations.blocking_next() {
        event_log.write(&observation);
        crash_context.take(observation);
        let now = observations.missed();
        if now > missed {
            event_log.missed(now - missed);
            missed = now;
        }
    }
    crash_context.finish();
}

#[cfg(test)]
mod tests;
