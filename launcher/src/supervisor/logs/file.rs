//! The log of one component: writes through, puts full files aside on line ends, and counts what it cannot write.
//!
//! * What comes is written at once; nothing is kept in memory that could be lost with us.
//! * When the file is full it is renamed, on a line end, and a new one begun. Only a line longer than [`MAX_LINE`] is cut.
//! * When it cannot be written (disk full, directory gone, no rights) whole lines are dropped and counted. Every
//!   [`RETRY`] a line that says how many is tried; once it is written, so is everything after it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::archive::{self, Archiver};
use super::segment::{Segment, WriteFailure};
use crate::supervisor::clock;
use crate::supervisor::spec::LogPolicy;
use crate::supervisor::status::Dropped;

/// A line may make a file this much larger than it should be, in bytes; a longer one is cut by the end of the file.
const MAX_LINE: u64 = 1 << 20;

/// How long after a failure writing is tried again. Short, so that little is lost once there is room.
const RETRY: Duration = Duration::from_millis(250);

/// How often it is checked that the file is still where it was.
const CHECK: Duration = Duration::from_secs(1);

/// What a log lacks; shared with whoever tells the operator.
#[derive(Debug, Default)]
pub(super) struct Counters {
    lines: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    pub(super) fn dropped(&self) -> Dropped {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Dropped { dropped_lines: load(&self.lines), dropped_bytes: load(&self.bytes) }
    }
}

/// The log of one component.
#[derive(Debug)]
pub(super) struct LogFile {
    name: String,
    path: PathBuf,
    policy: LogPolicy,
    segment: Option<Segment>,
    loss: Option<Loss>,
    counters: Arc<Counters>,
    archiver: Archiver,
    /// The number of the next file put aside; they only ever grow.
    sequence: u64,
    checked: Instant,
}

/// Lines that could not be written, since the last that could.
#[derive(Debug)]
struct Loss {
    since: String,
    cause: String,
    lines: u64,
    bytes: u64,
    /// The beginning of the line under way is lost, so the rest of it is dropped, too.
    in_line: bool,
    retry_at: Instant,
}

impl LogFile {
    /// The log `<name>.log` in `directory`. Nothing is opened before something is written.
    pub(super) fn new(
        directory: &Path,
        name: &str,
        policy: LogPolicy,
        counters: Arc<Counters>,
        archiver: Archiver,
        now: Instant,
    ) -> Self {
        Self {
            name: name.to_owned(),
            path: directory.join(format!("{name}.log")),
            policy,
            segment: None,
            loss: None,
            counters,
            archiver,
            sequence: archive::next_sequence(directory, name),
            checked: now,
        }
    }

    pub(super) fn set_policy(&mut self, policy: LogPolicy) {
        self.policy = policy;
    }

    /// Writes, or drops and counts.
    pub(super) fn write(&mut self, now: Instant, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = if self.loss.is_some() { self.lose(now, bytes) } else { self.keep(now, bytes) };
        }
    }

    /// The stream has ended; a line that has no end gets one.
    pub(super) fn end_stream(&mut self, now: Instant) {
        if self.loss.as_ref().is_some_and(|loss| loss.in_line) {
            self.lose(now, b"\n");
        } else if self.segment.as_ref().is_some_and(|segment| !segment.is_at_line_start()) {
            self.write(now, b" [launcher] the line ends here with its process\n");
        }
    }

    /// To be called now and then, also when nothing comes.
    pub(super) fn tick(&mut self, now: Instant) {
        if now.saturating_duration_since(self.checked) >= CHECK {
            self.checked = now;
            if self.segment.as_mut().is_some_and(|segment| !segment.is_at(&self.path)) {
                self.segment = None;
            }
        }
        if self.loss.as_ref().is_some_and(|loss| !loss.in_line) {
            self.recover(now);
        }
    }

    /// Writes a first part and returns the rest.
    fn keep<'a>(&mut self, now: Instant, bytes: &'a [u8]) -> &'a [u8] {
        let Some(segment) = &mut self.segment else {
            match open(&self.path) {
                Ok(segment) => self.segment = Some(segment),
                Err(error) => self.begin_loss(now, &error, 0),
            }
            return bytes;
        };
        let (length, full) = part(segment, self.policy.max_bytes, bytes);
        if let Err(WriteFailure { error, kept, taken_back }) = segment.append(&bytes[..length]) {
            self.begin_loss(now, &error, taken_back);
            if let (Some(loss), true) = (&mut self.loss, kept < length) {
                loss.in_line = taken_back > 0;
            }
            return &bytes[kept..];
        }
        if full && let Err(error) = self.rotate() {
            self.begin_loss(now, &error, 0);
        }
        &bytes[length..]
    }

    /// Drops a first part and returns the rest, which can perhaps be written.
    fn lose<'a>(&mut self, now: Instant, bytes: &'a [u8]) -> &'a [u8] {
        let in_line = self.loss.as_ref().is_some_and(|loss| loss.in_line);
        if !in_line && self.recover(now) {
            return bytes;
        }
        let length = match memchr::memchr(b'\n', bytes) {
            Some(end) if in_line => end + 1,
            _ => bytes.len(),
        };
        let dropped = &bytes[..length];
        let lines = memchr::memchr_iter(b'\n', dropped).count() as u64;
        self.count(lines, length as u64);
        if let Some(loss) = &mut self.loss {
            loss.in_line = dropped.last() != Some(&b'\n');
        }
        &bytes[length..]
    }

    /// Whether it can be written again; says then what is missing.
    fn recover(&mut self, now: Instant) -> bool {
        let Some(loss) = &mut self.loss else { return true };
        if now < loss.retry_at {
            return false;
        }
        loss.retry_at = now + RETRY;
        let notice = loss.notice();
        if self.reopen().is_err() {
            return false;
        }
        let written = self.segment.as_mut().is_some_and(|segment| segment.append(notice.as_bytes()).is_ok());
        if written {
            self.loss = None;
        }
        written
    }

    /// Makes sure that there is a file with room.
    fn reopen(&mut self) -> io::Result<()> {
        if self.segment.as_mut().is_some_and(|segment| !segment.is_at(&self.path)) {
            self.segment = None;
        }
        if self.segment.as_ref().is_some_and(|segment| segment.size() >= self.policy.max_bytes) {
            self.rotate()?;
        }
        if self.segment.is_none() {
            self.segment = Some(open(&self.path)?);
        }
        Ok(())
    }

    /// Puts the file aside; the next write begins a new one.
    fn rotate(&mut self) -> io::Result<()> {
        // A file that is not ours any more is not ours to rename.
        if self.segment.as_mut().is_some_and(|segment| segment.is_at(&self.path)) {
            let aside = archive::name(&self.name, &clock::compact(), self.sequence);
            std::fs::rename(&self.path, self.path.with_file_name(aside))?;
            self.sequence += 1;
            self.archiver.wake(self.policy);
        }
        self.segment = None;
        Ok(())
    }

    fn begin_loss(&mut self, now: Instant, error: &io::Error, taken_back: u64) {
        if self.loss.is_none() {
            let (since, cause) = (clock::rfc3339(), error.to_string());
            tracing::warn!(component = self.name, %cause, "its log cannot be written; lines are dropped and counted");
            self.loss =
                Some(Loss { since, cause, lines: 0, bytes: 0, in_line: false, retry_at: now + RETRY });
        }
        self.count(0, taken_back);
    }

    fn count(&mut self, lines: u64, bytes: u64) {
        self.counters.lines.fetch_add(lines, Ordering::Relaxed);
        self.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(loss) = &mut self.loss {
            loss.lines += lines;
            loss.bytes += bytes;
        }
    }
}

impl Loss {
    fn notice(&self) -> String {
        let Self { since, cause, lines, bytes, .. } = self;
        let until = clock::rfc3339();
        format!("[launcher] dropped {lines} lines, {bytes} bytes, from {since} to {until}: {cause}\n")
    }
}

/// Opens a log, and makes its directory if that is gone.
fn open(path: &Path) -> io::Result<Segment> {
    match Segment::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            Segment::open(path)
        }
        other => other,
    }
}

/// How many bytes to write now, and whether the file is full after them.
fn part(segment: &Segment, max_bytes: u64, bytes: &[u8]) -> (usize, bool) {
    let room = max_bytes.saturating_sub(segment.size());
    if bytes.len() as u64 <= room {
        return (bytes.len(), false);
    }
    let room = usize::try_from(room).expect("less than there are bytes");
    if let Some(end) = memchr::memrchr(b'\n', &bytes[..room]) {
        return (end + 1, true);
    }
    if segment.is_at_line_start() && segment.size() > 0 {
        return (0, true);
    }
    match memchr::memchr(b'\n', bytes) {
        Some(end) => (end + 1, true),
        None => (bytes.len(), segment.size() + bytes.len() as u64 > max_bytes + MAX_LINE),
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
