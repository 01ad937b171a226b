//! The log of one component: writes through, puts full files aside on line ends, and counts what it cannot write.
//!
//! * What comes is written at once; nothing is kept in memory that could be lost with us.
//! * When the file is full it is renamed, on a line end, and a new one begun. Only a line longer than [`MAX_LINE`] is cut.
//! * Before each write one look (`stat`) tells whether the file is still there and as long as we left it, and after it another one
//!   whether it was cut short in between; then the write is taken back and made anew. One that was deleted or cut short is a loss: what was in it is counted. One that was moved away gets the rest of its line and is left alone.
//! * When it cannot be written (disk full, directory gone, no rights) whole lines are dropped and counted.
//! * A line that says how much was lost is tried every [`RETRY`]; once it is written, so is everything after it.
//!
//! Several processes may write to one log, as when a descendant outlives a component. Their lines are never mixed: whoever
//! comes while another's line has no end yet is told apart by a remark that ends it.

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
use crate::supervisor::clock;
use crate::supervisor::spec::LogPolicy;
use crate::supervisor::status::Dropped;

/// A line may make a file this much larger than it should be, in bytes; a longer one is cut by the end of the file.
const MAX_LINE: u64 = 1 << 20;

/// How long after a failure writing is tried again. Short, so that little is lost once there is room.
const RETRY: Duration = Duration::from_millis(250);

/// Ends a line that its process did not end.
const ENDED: &[u8] = b" [launcher] the line ends here with its process\n";

/// Ends a line that its process has not ended yet.
const INTERRUPTED: &[u8] = b" [launcher] output of another process; the line continues below\n";

/// One process's output.
pub(super) type StreamId = u64;

/// What a log lacks; shared with whoever tells the operator.
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

/// What a stream dropped itself, because the disk stood still. Its counters know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) amount: Amount,
    /// Since when, RFC 3339.
    pub(super) since: String,
    /// It begins within a line, whose beginning is in the file.
    pub(super) in_line: bool,
}

/// The log of one component.
#[derive(Debug)]
pub(super) struct LogFile {
    name: String,
    path: PathBuf,
    policy: LogPolicy,
    segment: Option<Segment>,
    journal: Journal,
    loss: Option<Loss>,
    /// Whose line has no end yet.
    open: Option<StreamId>,
    /// Those whose line under way has lost its beginning, so that the rest of it is dropped, too.
    skipping: Vec<StreamId>,
    counters: Arc<Counters>,
    /// Woken when a file was put aside; none where somebody else sees to that.
    archiver: Option<Archiver>,
    /// The number of the next file put aside; they only ever grow.
    sequence: u64,
}

/// What is to be told of, since it was last told of anything.
#[derive(Debug)]
struct Loss {
    since: String,
    cause: String,
    amount: Amount,
    retry_at: Instant,
}

impl LogFile {
    /// The log `<name>.log` in `directory`. Nothing is opened before something is written.
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

    /// Writes, or drops and counts.
    pub(super) fn write(&mut self, now: Instant, stream: StreamId, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = if self.skipping.contains(&stream) {
                self.skip(now, stream, bytes)
            } else if self.recover(now) {
                self.keep(now, stream, bytes)
            } else {
                self.drop_all(stream, bytes)
            }
        }
    }

    /// The stream has dropped something before what it sends next.
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

    /// The stream has ended; a line that has no end gets one.
    pub(super) fn end_stream(&mut self, now: Instant, stream: StreamId) {
        if self.skipping.contains(&stream) {
            self.skipping.retain(|skipping| *skipping != stream);
            self.count(Amount { lines: 1, bytes: 0 });
        } else if self.open == Some(stream) {
            self.end_line(now, ENDED);
        }
    }

    /// To be called now and then, also when nothing comes.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.open.is_none() {
            self.look(now, None);
        }
        // While a line is being dropped its end is waited for, to be told of with the rest.
        if self.skipping.is_empty() {
            self.recover(now);
        }
        if let Some(segment) = &mut self.segment {
            segment.take_strange().into_iter().for_each(|part| self.journal.unproven(part));
            self.journal.mark(segment);
        }
    }

    /// The last thing that is done: what could not be told of in the file is left to the journal.
    pub(super) fn close(&mut self, now: Instant) {
        self.tick(now + RETRY);
        if let (Some(loss), Some(segment)) = (self.loss.take(), &mut self.segment) {
            self.journal.lost(loss.record());
            self.journal.mark(segment);
        }
    }

    /// Writes a first part and returns the rest.
    fn keep<'a>(&mut self, now: Instant, stream: StreamId, bytes: &'a [u8]) -> &'a [u8] {
        let moved = self.look(now, Some(stream)) == Found::Moved;
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

    /// Looks whether the file is as we left it, and draws the consequences.
    fn look(&mut self, now: Instant, stream: Option<StreamId>) -> Found {
        let Some(segment) = &mut self.segment else { return Found::Well };
        let found = segment.look(&self.path);
        match found {
            Found::Well => {}
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
            // The rest of the line goes where its beginning is.
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

    /// Ends the line under way with a remark; whether that worked.
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

    /// Whether it can be written; says then what is missing, if anything is.
    fn recover(&mut self, now: Instant) -> bool {
        let Some(loss) = &mut self.loss else { return true };
        if now < loss.retry_at {
            return false;
        }
        loss.retry_at = now + RETRY;
        self.look(now, None);
        let is_open = self.open.is_some();
        if (is_open && !self.end_line(now, INTERRUPTED)) || self.reopen(now).is_err() {
            return false;
        }
        let notice = self.loss.as_ref().map(Loss::notice).unwrap_or_default();
        let line = format::notice(self.policy.format, &self.name, &notice);
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

    /// Makes sure that there is a file with room.
    fn reopen(&mut self, now: Instant) -> io::Result<()> {
        if self.segment.as_ref().is_some_and(|segment| segment.size() >= self.policy.max_bytes) {
            self.rotate()?;
        }
        if self.segment.is_none() {
            self.open(now)?;
        }
        Ok(())
    }

    /// Opens the file, or makes it and its directory, and holds it against what an earlier launcher left.
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

    /// Puts the file aside; the next write begins a new one.
    fn rotate(&mut self) -> io::Result<()> {
        // A file that is not ours any more is not ours to rename; the next look finds that out.
        if let Some(segment) = &mut self.segment
            && segment.look(&self.path) == Found::Well
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

    /// A write has failed: what of it is lost is counted, and the rest of its line will be.
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

    /// Something is lost, which is told of as soon as possible, but not before `at`.
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
    fn record(self) -> Lost {
        let Self { since, cause, amount: Amount { lines, bytes }, .. } = self;
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

/// How much something is.
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
