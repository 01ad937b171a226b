//! The writing thread: one file per component.
//!
//! It processes jobs in order, and blocks on the disk so that no other thread has to.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::archive::Archiver;
use super::file::{Counters, LogFile, Missed, StreamId};
use crate::spec::LogPolicy;

/// Jobs in the queue. Each stream has at most one chunk in flight, so the queue is full only with hundreds of streams and a disk that
/// hangs; what they would write is dropped and counted.
const JOBS: usize = 512;

/// The interval of cleaning up, even without a rotation here: the launcher's own log is rotated elsewhere.
const TIDY: Duration = Duration::from_secs(60);

/// A job of the thread.
pub(super) enum Job {
    /// Open a component's log, with these counters.
    Open { component: Arc<str>, counters: Arc<Counters> },
    /// Write a chunk.
    Write(Write),
    /// A stream has ended, possibly after it dropped something.
    End { component: Arc<str>, id: StreamId, missed: Option<Missed> },
    /// Change the limits.
    Set(LogPolicy),
    /// Check every file.
    Tick,
    /// Check every file for the last time, answer, and end.
    Close(oneshot::Sender<()>),
}

/// A chunk of one stream.
pub(super) struct Write {
    pub(super) component: Arc<str>,
    pub(super) id: StreamId,
    pub(super) chunk: Vec<u8>,
    /// What was dropped before it.
    pub(super) missed: Option<Missed>,
    /// Receives the emptied buffer.
    pub(super) done: oneshot::Sender<Vec<u8>>,
}

/// The state of the thread.
struct Writer {
    directory: PathBuf,
    policy: LogPolicy,
    archiver: Archiver,
    files: BTreeMap<Arc<str>, LogFile>,
    /// The time of the next clean-up.
    tidy_at: Instant,
}

/// Starts the thread. It ends when it is closed or all senders are dropped.
pub(super) fn start(directory: PathBuf, policy: LogPolicy) -> io::Result<mpsc::Sender<Job>> {
    let archiver = Archiver::start(&directory)?;
    archiver.wake(policy);
    let (jobs, mut received) = mpsc::channel(JOBS);
    let run = move || {
        let tidy_at = Instant::now() + TIDY;
        let mut writer = Writer { directory, policy, archiver, files: BTreeMap::new(), tidy_at };
        while let Some(job) = received.blocking_recv() {
            if let Some(done) = writer.act(job) {
                // The receiver may have timed out.
                let _ = done.send(());
                break;
            }
        }
    };
    std::thread::Builder::new().name("log-writer".to_owned()).spawn(run)?;
    Ok(jobs)
}

impl Writer {
    /// Does a job; returns whom to notify if it was the last one.
    fn act(&mut self, job: Job) -> Option<oneshot::Sender<()>> {
        let now = Instant::now();
        match job {
            Job::Open { component, counters } => self.open(component, counters),
            Job::Write(Write { component, id, mut chunk, missed, done }) => {
                if let Some(file) = self.files.get_mut(&component) {
                    if let Some(missed) = missed {
                        file.missed(now, id, &missed);
                    }
                    file.write(now, id, &chunk);
                }
                chunk.clear();
                // The stream may have timed out.
                let _ = done.send(chunk);
            }
            Job::End { component, id, missed } => {
                if let Some(file) = self.files.get_mut(&component) {
                    if let Some(missed) = missed {
                        file.missed(now, id, &missed);
                    }
                    file.end_stream(now, id);
                }
            }
            Job::Set(policy) => {
                self.policy = policy;
                self.files.values_mut().for_each(|file| file.set_policy(policy));
            }
            Job::Tick => self.tick(now),
            Job::Close(done) => {
                self.files.values_mut().for_each(|file| file.close(now));
                return Some(done);
            }
        }
        None
    }

    fn open(&mut self, component: Arc<str>, counters: Arc<Counters>) {
        let Self { directory, policy, archiver, files, .. } = self;
        let make = || LogFile::new(directory, &component, *policy, counters, Some(archiver.clone()));
        files.entry(Arc::clone(&component)).or_insert_with(make);
    }

    fn tick(&mut self, now: Instant) {
        self.files.values_mut().for_each(|file| file.tick(now));
        if now >= self.tidy_at {
            self.archiver.wake(self.policy);
            self.tidy_at = now + TIDY;
        }
    }
}
