//! The thread that writes: one file for each component.
//!
//! It does what it is told in order, and blocks on the disk so that nobody else has to.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::archive::Archiver;
use super::file::{Counters, LogFile, Missed, StreamId};
use crate::supervisor::spec::LogPolicy;

/// Jobs that may wait. Each stream has one chunk under way at most, so only hundreds of them at a disk that stands still find no
/// place; what they would write is dropped and counted.
const JOBS: usize = 512;

/// How often old files are looked after though none was put aside here: the launcher's own log puts its files aside itself.
const TIDY: Duration = Duration::from_secs(60);

/// What the thread is told.
pub(super) enum Job {
    /// A component has a log, with these counters.
    Open { component: Arc<str>, counters: Arc<Counters> },
    /// Write a chunk.
    Write(Write),
    /// A stream has ended, after it dropped something perhaps.
    End { component: Arc<str>, id: StreamId, missed: Option<Missed> },
    /// Other limits.
    Set(LogPolicy),
    /// Look after every file.
    Tick,
    /// Look after every file for the last time, answer, and end.
    Close(oneshot::Sender<()>),
}

/// A chunk of one stream.
pub(super) struct Write {
    pub(super) component: Arc<str>,
    pub(super) id: StreamId,
    pub(super) chunk: Vec<u8>,
    /// What was dropped before it.
    pub(super) missed: Option<Missed>,
    /// Gets the buffer back, emptied.
    pub(super) done: oneshot::Sender<Vec<u8>>,
}

/// The state of the thread.
struct Writer {
    directory: PathBuf,
    policy: LogPolicy,
    archiver: Archiver,
    files: BTreeMap<Arc<str>, LogFile>,
    /// When old files are looked after again.
    tidy_at: Instant,
}

/// Starts the thread. It ends when it is closed, or nobody is left to tell it anything.
pub(super) fn start(directory: PathBuf, policy: LogPolicy) -> io::Result<mpsc::Sender<Job>> {
    let archiver = Archiver::start(&directory)?;
    archiver.wake(policy);
    let (jobs, mut received) = mpsc::channel(JOBS);
    let run = move || {
        let tidy_at = Instant::now() + TIDY;
        let mut writer = Writer { directory, policy, archiver, files: BTreeMap::new(), tidy_at };
        while let Some(job) = received.blocking_recv() {
            if let Some(done) = writer.act(job) {
                // Who asked may have lost patience.
                let _ = done.send(());
                break;
            }
        }
    };
    std::thread::Builder::new().name("log-writer".to_owned()).spawn(run)?;
    Ok(jobs)
}

impl Writer {
    /// Does a job; gives who is to be told when it was the last one.
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
                // The stream may have lost patience.
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
