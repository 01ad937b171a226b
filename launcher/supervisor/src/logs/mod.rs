//! Writes the components' output to `<component>.log` files.
//!
//! * A child's standard output and error are one pipe, or one each where they are to be told apart; the driver makes it and hands its reading end to the thread that reads
//!   ([`pump`]). Each pipe is a [`stream`]: secrets masked, its last lines kept for the report of a crash, its lines formed.
//! * The thread that writes ([`writer`]) has a [`file`] for each component.
//! * Full files are put aside ([`names`]), and compressed on a third thread ([`archive`]).
//! * The launcher's [`own`] log is such a file, too, on a thread of its own.
//! * What was written stands in a [`journal`] beside the logs, and [`verify`] holds them against it.
//!
//! A child waits for its log only briefly: what cannot be written is read anyway, dropped in complete lines and counted. The driver never
//! waits for the threads: commands go through a bounded channel, and a full one is an error.

mod archive;
mod awaited;
mod file;
mod format;
pub(crate) mod journal;
pub mod launcher_log;
mod mask;
pub mod names;
mod pump;
mod segment;
mod stream;
mod sums;
mod tail;
pub mod tap;
pub mod verify;
mod writer;
pub mod written;

use std::collections::BTreeMap;
use std::io::{self, PipeWriter};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kit::Secret;
use tokio::sync::{mpsc, oneshot};

use super::spec::LogPolicy;
use super::status::Dropped;
pub(crate) use awaited::Awaited;
use file::Counters;
use format::Channel;
use pump::{Command, Source};
use tap::Tap;

/// Commands in the queue. It is full only if the disk hangs; then a component cannot be started.
const COMMANDS: usize = 64;

/// Time limit for the log thread to end.
const CLOSE: Duration = Duration::from_secs(2);

/// Time limit for a process's last lines. The pump waits much shorter for a pipe that is held open.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The threads that write logs.
#[derive(Debug)]
pub(crate) struct Logs {
    commands: mpsc::Sender<Command>,
    split_stderr: bool,
    counters: BTreeMap<String, Arc<Counters>>,
}

/// The pipes of one process.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stdout: PipeWriter,
    pub(crate) stderr: PipeWriter,
}

/// Requests the last lines of one process from each of its pipes, once.
#[derive(Debug)]
pub(crate) struct LastLines(Vec<oneshot::Sender<oneshot::Sender<Vec<String>>>>);

impl Logs {
    /// Starts the threads for a directory, which is created if necessary.
    pub(crate) fn start(
        directory: &Path,
        policy: LogPolicy,
        secrets: &[Secret],
        tap: Option<Tap>,
    ) -> io::Result<Self> {
        kit::files::make_directory(directory)?;
        let (commands, received) = mpsc::channel(COMMANDS);
        let jobs = writer::start(directory.to_owned(), policy)?;
        pump::start(policy, mask::Secrets::new(secrets), tap, jobs, received)?;
        Ok(Self { commands, split_stderr: policy.split_stderr, counters: BTreeMap::new() })
    }

    /// The pipes into a component's log for one process, with the text to wait for.
    pub(crate) fn attach(
        &mut self,
        component: &str,
        awaited: Option<Awaited>,
    ) -> io::Result<(Output, LastLines)> {
        if !self.split_stderr {
            let (stdout, last) = self.pipe(component, awaited, Channel::Both)?;
            return Ok((Output { stderr: stdout.try_clone()?, stdout }, LastLines(vec![last])));
        }
        let twin = awaited.as_ref().map(Awaited::twin);
        let (stdout, last) = self.pipe(component, awaited, Channel::Stdout)?;
        let (stderr, last_error) = self.pipe(component, twin, Channel::Stderr)?;
        Ok((Output { stdout, stderr }, LastLines(vec![last, last_error])))
    }

    fn pipe(
        &mut self,
        component: &str,
        awaited: Option<Awaited>,
        channel: Channel,
    ) -> io::Result<(PipeWriter, oneshot::Sender<oneshot::Sender<Vec<String>>>)> {
        let (reader, writer) = io::pipe()?;
        let (ask, asked) = oneshot::channel();
        let counters = Arc::clone(self.counters.entry(component.to_owned()).or_default());
        let component = component.to_owned();
        let source = Source { component, channel, reader: reader.into(), counters, awaited, asked };
        let sent = self.commands.try_send(Command::Attach(source));
        sent.map_err(|_| io::Error::other("the log thread is stuck; is the disk of the logs?"))?;
        Ok((writer, ask))
    }

    /// Changes the limits and secrets; running processes keep being masked as before, and keep their pipes.
    pub(crate) fn set(&mut self, policy: LogPolicy, secrets: &[Secret]) {
        self.split_stderr = policy.split_stderr;
        // A thread that hangs keeps the old ones.
        let _ = self.commands.try_send(Command::Set(policy, mask::Secrets::new(secrets)));
    }

    /// What is missing in a component's log.
    pub(crate) fn dropped(&self, component: &str) -> Dropped {
        self.counters.get(component).map(|counters| counters.dropped()).unwrap_or_default()
    }

    /// Writes what is left in the pipes and ends the threads; gives up if the disk hangs.
    pub(crate) async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.commands.send_timeout(Command::Close(done), CLOSE).await.is_ok() {
            let _ = tokio::time::timeout(CLOSE, closed).await;
        }
    }
}

/// Masks the secrets in a text.
pub(crate) fn mask_text(secrets: &[Secret], text: &str) -> String {
    let mut masker = mask::Masker::new(mask::Secrets::new(secrets));
    let mut masked = masker.mask(text.as_bytes().to_vec());
    masked.extend_from_slice(&masker.finish());
    String::from_utf8_lossy(&masked).into_owned()
}

impl LastLines {
    /// The last lines of the process, which has ended, without waiting for its descendants; those of standard error come last if that has
    /// its own pipe.
    pub(crate) async fn get(self) -> Vec<String> {
        let until = tokio::time::Instant::now() + LAST_LINES;
        let mut all = Vec::new();
        for ask in self.0 {
            let (answer, lines) = oneshot::channel();
            if ask.send(answer).is_ok() {
                all.extend(
                    tokio::time::timeout_at(until, lines).await.ok().and_then(Result::ok).unwrap_or_default(),
                );
            }
        }
        all.split_off(all.len().saturating_sub(tail::LINES))
    }
}

#[cfg(test)]
mod tests;
