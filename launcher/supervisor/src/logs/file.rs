//! The log file of one component: writes through, rotates on line ends, and counts what cannot be written.
//!
//! * Input is written at once; nothing is buffered that would be lost with this process.
//! * A full file is renamed at a line end, and a new one begins. Only a line longer than [`MAX_LINE`] is split.
//! * Before each write a `stat` shows whether the file is still there with the expected size, and after it another one whether it was
//!   truncated in between; then the write is undone and repeated. The content of a deleted or truncated file is counted as lost. A file
//!   that was moved gets the rest of its line and is then left alone.
//! * If the file cannot be written (disk full, directory missing, no rights), complete lines are dropped and counted.
//! * A line about the loss is tried every [`RETRY`]; once it is written, everything after it is too.
//!
//! Several processes may write to one log, for example if a descendant outlives a component. Their lines are not mixed: output that arrives
//! during another's incomplete line is preceded by a notice that ends that line.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::archive::Archiver;
use super::format;
use super::journal::Journal;
use super::names;
use super::segment::{Found, Segment, WriteFailure};
use super::written::{Amount, Lost};
use crate::clock;
use crate::spec::LogPolicy;
use crate::status::Dropped;

/// A file may exceed its size limit by a line of at most this many bytes; a longer line is split.
const MAX_LINE: u64 = 1 << 20;

/// The pause between attempts after a failure. Short, so that little is lost once there is space.
const RETRY: Duration = Duration::from_millis(250);

/// Ends an incomplete line whose process has ended.
const ENDED: &[u8] = b" [launcher] the line ends here with its process\n";

/// Ends an incomplete line before output of another process.
const INTERRUPTED: &[u8] = b" [launcher] output of another process; the line continues below\n";

/// Identifies the output of one process.
pub(super) type StreamId = u64;

/// What is missing in a log; shared with the status.
#[derive(Debug, Default)]
pub(super) struct Counters {
    lines: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    pub(super) fn add(&self, Amount { lines, bytes }: Amount) {
        self.lines.fetch_add(lines, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self) -> Dropped {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Dropped { dropped_lines: load(&self.lines), dropped_bytes: load(&self.bytes) }
    }
}

/// What a stream dropped itself because the disk was blocked; already counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) amount: Amount,
    /// The time of the first loss, RFC 3339.
    pub(super) since: String,
    /// The loss begins within a line whose beginning is in the file.
    pub(super) in_line: bool,
}

#[derive(Debug)]
pub(super) struct LogFile {
    name: String,
    path: PathBuf,
    policy: LogPolicy,
    segment: Option<Segment>,
    journal: Journal,
    loss: Option<Loss>,
    /// The stream whose line is incomplete.
    open: Option<StreamId>,
    /// Streams whose current line has lost its beginning, so that the rest is dropped too.
    skipping: Vec<StreamId>,
    counters: Arc<Counters>,
    /// Notified of rotations, unless somebody else checks for them.
    archiver: Option<Archiver>,
    /// The number of the next rotated file; numbers only increase.
    sequence: u64,
}

/// Losses since the last notice.
#[derive(Debug, Clone)]
struct Loss {
    since: String,
    cause: String,
    amount: Amount,
    retry_at: Instant,
}

impl LogFile {
    /// The log `<name>.log` in `directory`. The file is opened by the first write.
    pub(super) fn new(
        directory: &Path,
        name: &str,
        policy: LogPolicy,
        counters: Arc<Counters>,
        archiver: Option<Archiver>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            path: directory.join(names::live(name)),
            policy,
            segment: None,
            journal: Journal::new(directory, name),
            loss: None,
            open: None,
            skipping: Vec::new(),
            counters,
            archiver,
            sequence: names::next_sequence(directory, name),
        }
    }

    pub(super) fn set_policy(&mut self, policy: LogPolicy) {
        self.policy = policy;
    }

    /// Writes the input, or drops and counts it.
    pub(super) fn write(&mut self, now: Instant, stream: StreamId, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = if self.skipping.contains(&stream) {
                self.skip(now, stream, bytes)
            } else if self.recover(now) {
                self.write_part(now, stream, bytes)
            } else {
                self.drop_all(stream, bytes)
            }
        }
    }

    /// The stream has dropped something before its next input.
    pub(super) fn missed(&mut self, now: Instant, stream: StreamId, missed: &Missed) {
        let taken_back = match &mut self.segment {
            Some(segment) if missed.in_line && self.open == Some(stream) => segment.take_back_line(),
            Some(_) | None => 0,
        };
        self.open = self.open.filter(|open| *open != stream);
        self.skipping.retain(|skipping| *skipping != stream);
        self.lose(now, "the disk stood still", Amount { lines: 0, bytes: taken_back });
        if let Some(loss) = &mut self.loss {
            loss.since.clone_from(&missed.since);
            loss.amount.lines += missed.amount.lines;
            loss.amount.bytes += missed.amount.bytes;
        }
    }

    /// The stream has ended; an incomplete line is ended.
    pub(super) fn end_stream(&mut self, now: Instant, stream: StreamId) {
        if self.skipping.contains(&stream) {
            self.skipping.retain(|skipping| *skipping != stream);
            self.count(Amount { lines: 1, bytes: 0 });
        } else if self.open == Some(stream) {
            self.end_line(now, ENDED);
        }
    }

    /// Must be called periodically, also without input.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.open.is_none() {
            self.check(now, None);
        }
        // While a line is being dropped, the notice waits for its end.
        if self.skipping.is_empty() {
            self.recover(now);
        }
        if let Some(segment) = &mut self.segment {
            segment.take_strange().into_iter().for_each(|part| self.journal.unproven(part));
            self.journal.mark(segment);
        }
    }

    /// Closes the file; losses without a notice in it are recorded in the journal.
    pub(super) fn close(&mut self, now: Instant) {
        self.tick(now + RETRY);
        if let (Some(loss), Some(segment)) = (self.loss.take(), &mut self.segment) {
            self.journal.lost(loss.record());
            self.journal.mark(segment);
        }
    }

    /// Writes a first part and returns the rest.
    fn write_part<'a>(&mut self, now: Instant, stream: StreamId, bytes: &'a [u8]) -> &'a [u8] {
        let moved = self.check(now, Some(stream)) == Found::Moved;
        if self.loss.is_some() {
            return bytes;
        }
        if self.open.is_some_and(|open| open != stream) && !self.end_line(now, INTERRUPTED) {
            return bytes;
        }
        let Some(segment) = &mut self.segment else {
            if let Err(error) = self.open(now) {
                self.fail(now, &error);
            }
            return bytes;
        };
        let (length, full) = match memchr::memchr(b'\n', bytes) {
            Some(end) if moved => (end + 1, false),
            _ => part(segment, self.policy.max_bytes, bytes),
        };
        if let Err(failure) = segment.append(&bytes[..length]) {
            if failure.cut {
                return bytes;
            }
            let kept = failure.kept;
            self.on_failure(now, Some(stream), failure);
            return &bytes[kept..];
        }
        self.open = (!segment.is_at_line_start()).then_some(stream);
        if full && let Err(error) = self.rotate() {
            self.fail(now, &error);
        }
        &bytes[length..]
    }

    /// Checks whether the file is as expected, and reacts if it is not.
    fn check(&mut self, now: Instant, stream: Option<StreamId>) -> Found {
        let Some(segment) = &mut self.segment else { return Found::Intact };
        let found = segment.check(&self.path);
        match found {
            Found::Intact => {}
            Found::Truncated => {
                let gone = segment.accept_cut().unwrap_or_else(|_| segment.content());
                self.skipping.extend(self.open.take());
                self.lose(now, "the file was truncated", gone);
            }
            Found::Deleted => {
                let gone = segment.content();
                self.segment = None;
                self.journal.start_over();
                self.skipping.extend(self.open.take());
                self.lose(now, "the file was deleted", gone);
            }
            // The rest of the line is written after its beginning.
            Found::Moved if stream.is_some() && self.open == stream => {}
            Found::Moved => {
                if self.open.is_some() {
                    self.end_line(now, INTERRUPTED);
                }
                self.journal.start_over();
                let Amount { lines, bytes } = self.segment.take().map(|it| it.content()).unwrap_or_default();
                let cause = format!("the file was moved with {lines} lines, {bytes} bytes");
                self.lose(now, &cause, Amount::default());
            }
        }
        found
    }

    /// Ends the current line with a notice; returns whether that succeeded.
    fn end_line(&mut self, now: Instant, remark: &[u8]) -> bool {
        let Some(segment) = &mut self.segment else { return true };
        match segment.append_own(remark) {
            Ok(()) => {
                self.open = None;
                true
            }
            Err(failure) => {
                let stream = self.open;
                self.on_failure(now, stream, failure);
                false
            }
        }
    }

    /// Drops the rest of a line and returns what follows it.
    fn skip<'a>(&mut self, now: Instant, stream: StreamId, bytes: &'a [u8]) -> &'a [u8] {
        let end = memchr::memchr(b'\n', bytes).map(|end| end + 1);
        let length = end.unwrap_or(bytes.len());
        self.lose(now, "the beginning of the line is lost", Amount { lines: 0, bytes: 0 });
        self.count(Amount { lines: u64::from(end.is_some()), bytes: length as u64 });
        if end.is_some() {
            self.skipping.retain(|skipping| *skipping != stream);
        }
        &bytes[length..]
    }

    fn drop_all<'a>(&mut self, stream: StreamId, bytes: &'a [u8]) -> &'a [u8] {
        self.count(amount(bytes));
        if bytes.last() != Some(&b'\n') {
            self.skipping.push(stream);
        }
        &[]
    }

    /// Whether the file can be written; if so, writes the notice about a loss.
    fn recover(&mut self, now: Instant) -> bool {
        let Some(loss) = &mut self.loss else { return true };
        if now < loss.retry_at {
            return false;
        }
        loss.retry_at = now + RETRY;
        self.check(now, None);
        let is_open = self.open.is_some();
        if (is_open && !self.end_line(now, INTERRUPTED)) || self.reopen(now).is_err() {
            return false;
        }
        let Some(loss) = &self.loss else { return true };
        let notice = loss.notice();
        let line = match &*self.name {
            names::EVENTS => format::lost_event(&loss.record()),
            name => format::notice(self.policy.format, name, &notice),
        };
        let Some(segment) = &mut self.segment else { return false };
        if segment.append_own(&line).is_err() {
            return false;
        }
        if let Some(loss) = self.loss.take() {
            tracing::warn!(component = self.name, "{notice}");
            if loss.amount != Amount::default() {
                self.journal.lost(loss.record());
            }
            self.journal.mark(segment);
        }
        true
    }

    /// Makes sure that the file is open and not full.
    fn reopen(&mut self, now: Instant) -> io::Result<()> {
        if self.segment.as_ref().is_some_and(|segment| segment.size() >= self.policy.max_bytes) {
            self.rotate()?;
        }
        if self.segment.is_none() {
            self.open(now)?;
        }
        Ok(())
    }

    /// Opens the file, or creates it and its directory, and compares it with the journal of an earlier launcher.
    fn open(&mut self, now: Instant) -> io::Result<()> {
        let mut known = self.journal.begin();
        if let Some(written) = known.take_if(|_| !self.path.exists()) {
            self.journal.start_over();
            self.lose(now, "the file disappeared while no launcher was running", written.content());
        }
        let opened = match Segment::open(&self.path, known.as_ref()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.path.parent().map_or(Ok(()), kit::files::make_directory)?;
                Segment::open(&self.path, known.as_ref())
            }
            other => other,
        };
        let (segment, gone) = opened?;
        self.segment = Some(segment);
        if gone != Amount::default() {
            self.lose(now, "the file was truncated while no launcher ran", gone);
        }
        Ok(())
    }

    /// Rotates the file; the next write begins a new one.
    fn rotate(&mut self) -> io::Result<()> {
        // A file that is no longer at its path must not be renamed; the next check detects that.
        if let Some(segment) = &mut self.segment
            && segment.check(&self.path) == Found::Intact
        {
            let aside = names::aside(&self.name, &clock::compact(), self.sequence);
            segment.take_strange().into_iter().for_each(|part| self.journal.unproven(part));
            self.journal.announce(segment, &aside);
            std::fs::rename(&self.path, self.path.with_file_name(aside))?;
            self.journal.put_aside(self.sequence);
            self.sequence += 1;
            self.segment = None;
            if let Some(archiver) = &self.archiver {
                archiver.wake(self.policy);
            }
        }
        Ok(())
    }

    /// Counts what a failed write has lost, and drops the rest of its line.
    fn on_failure(&mut self, now: Instant, stream: Option<StreamId>, failure: WriteFailure) {
        self.fail(now, &failure.error);
        self.count(Amount { lines: 0, bytes: failure.taken_back });
        self.open = None;
        if failure.taken_back > 0 {
            self.skipping.extend(stream);
        }
    }

    fn fail(&mut self, now: Instant, error: &io::Error) {
        let cause = error.to_string();
        if self.loss.is_none() {
            tracing::warn!(
                component = self.name,
                cause,
                "cannot write the component's log; dropping lines and counting them"
            );
        }
        self.lose(now + RETRY, &cause, Amount::default());
    }

    /// Records a loss, of which a notice is due at `at`.
    fn lose(&mut self, at: Instant, cause: &str, amount: Amount) {
        if self.loss.is_none() {
            let (since, cause) = (clock::rfc3339(), cause.to_owned());
            self.loss = Some(Loss { since, cause, amount: Amount::default(), retry_at: at });
        }
        self.count(amount);
    }

    fn count(&mut self, amount: Amount) {
        self.counters.add(amount);
        if let Some(loss) = &mut self.loss {
            loss.amount.lines += amount.lines;
            loss.amount.bytes += amount.bytes;
        }
    }
}

impl Loss {
    fn record(&self) -> Lost {
        let Self { since, cause, amount: Amount { lines, bytes }, .. } = self.clone();
        Lost { lines, bytes, since, until: clock::rfc3339(), cause }
    }

    fn notice(&self) -> String {
        let Self { since, cause, amount: Amount { lines, bytes }, .. } = self;
        if *bytes == 0 && *lines == 0 {
            return format!("{cause}; nothing is lost");
        }
        let until = clock::rfc3339();
        format!("dropped {lines} lines, {bytes} bytes, from {since} to {until}: {cause}")
    }
}

/// The lines and bytes of a text.
pub(super) fn amount(bytes: &[u8]) -> Amount {
    Amount { lines: memchr::memchr_iter(b'\n', bytes).count() as u64, bytes: bytes.len() as u64 }
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
