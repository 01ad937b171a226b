//! The launcher's own logs, of its messages and of events: files like those of components, with journal and limits, but without a pipe.
//!
//! Each is written by a thread that may wait for the disk. Their rotated files are compressed and limited with the others.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::file::{LogFile, StreamId};
use super::names::EVENTS;
use crate::spec::{LogFormat, LogPolicy};

/// The name of the log; reserved.
pub const NAME: &str = "launcher";

/// The log has a single stream.
const STREAM: StreamId = 1;

/// The writer of the log.
#[derive(Debug)]
pub struct OwnLog {
    file: LogFile,
    limits: Limits,
}

/// The limits; a change applies from the next line on.
#[derive(Debug, Clone)]
pub struct Limits(Arc<Mutex<LogPolicy>>);

impl Limits {
    /// Limits that begin with this policy.
    #[must_use]
    pub fn new(policy: LogPolicy) -> Self {
        Self(Arc::new(Mutex::new(policy)))
    }

    /// Replaces the policy.
    pub fn set(&self, policy: LogPolicy) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// The current policy.
    #[must_use]
    pub fn get(&self) -> LogPolicy {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its lines have their times already; a notice about a loss gets one.
    fn of_own_log(&self) -> LogPolicy {
        LogPolicy { format: LogFormat::Text, ..self.get() }
    }
}

impl OwnLog {
    /// The log of the launcher's messages in a directory to which nobody else writes.
    pub fn new(directory: &Path, limits: Limits) -> Self {
        Self::named(directory, NAME, limits)
    }

    /// The log of events, likewise.
    pub fn of_events(directory: &Path, limits: Limits) -> Self {
        Self::named(directory, EVENTS, limits)
    }

    fn named(directory: &Path, name: &str, limits: Limits) -> Self {
        let file = LogFile::new(directory, name, limits.of_own_log(), Arc::default(), None);
        Self { file, limits }
    }
}

/// Each call must have complete lines. What cannot be written is counted: a log must never end the process.
impl Write for OwnLog {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.file.set_policy(self.limits.of_own_log());
        self.file.write(Instant::now(), STREAM, lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.tick(Instant::now());
        Ok(())
    }
}

impl Drop for OwnLog {
    fn drop(&mut self) {
        self.file.close(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::verify::verify;

    #[test]
    fn it_is_rotated_and_proven_as_the_others_are() {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits::new(LogPolicy { max_bytes: 100, ..LogPolicy::default() });
        for round in 0..2 {
            let mut log = OwnLog::new(dir.path(), limits.clone());
            for number in 0..10 {
                log.write_all(format!("round {round}, line number {number:04}\n").as_bytes()).unwrap();
            }
            log.flush().unwrap();
            let verdict = verify(dir.path(), NAME).unwrap();
            assert!(verdict.flaws.is_empty() && verdict.unproven.is_empty(), "{verdict:?}");
            assert_eq!(verdict.lines, (round + 1) * 10);
            assert!(verdict.files as u64 > 2 * (round + 1));
            limits.set(LogPolicy { max_bytes: 120, ..LogPolicy::default() });
        }
        std::fs::write(dir.path().join("launcher.log"), "else\n").unwrap();
        assert!(!verify(dir.path(), NAME).unwrap().flaws.is_empty());
    }
}
