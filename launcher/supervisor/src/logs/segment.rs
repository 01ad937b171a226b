//! One log file on disk: appends, knows where its last complete line ends, and detects changes by others.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::sums::{BLOCK, Sums, whole_blocks};
use super::written::{Amount, Part, Written};

/// The size of a read.
const STEP: usize = 64 * 1024;

/// An open log file.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    /// Device and inode, which identify it whatever its name.
    id: (u64, u64),
    size: u64,
    /// The number of newlines in it.
    lines: u64,
    /// Where the current line begins; `size` if there is none.
    line_start: u64,
    /// Its last line is incomplete and could not be undone: the next write ends it first.
    torn: bool,
    /// The parts that the launcher itself has written. Each is at least a good part of a line, so the file's size bounds them.
    own: Vec<Part>,
    sums: Sums,
    /// The parts that others have written, or whose writer is unknown, and that are not in the journal yet.
    strange: Vec<Part>,
    /// The length for which the journal has checksums.
    marked: u64,
    is_marked: bool,
}

/// A failed write. It leaves no partial line in the file.
#[derive(Debug)]
pub(super) struct WriteFailure {
    pub(super) error: io::Error,
    /// How many bytes of it, in complete lines, are in the file.
    pub(super) kept: usize,
    /// How many bytes of the current line, written earlier, were undone.
    pub(super) taken_back: u64,
    /// The file was truncated since it was checked, and has nothing of the write: the next check sees it as truncated.
    pub(super) cut: bool,
}

impl WriteFailure {
    fn cut() -> Self {
        let error = io::Error::other("the file was truncated meanwhile");
        Self { error, kept: 0, taken_back: 0, cut: true }
    }
}

/// The result of a check of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It is as expected, or others have appended to it.
    Intact,
    /// It is shorter than expected.
    Truncated,
    /// It was deleted.
    Deleted,
    /// It was renamed.
    Moved,
}

impl Segment {
    /// Opens or creates it, and returns what is missing compared with `known`. Anything that is no regular file, or a link to a device, is
    /// used as it is, but never waited for.
    pub(super) fn open(path: &Path, known: Option<&Written>) -> io::Result<(Self, Amount)> {
        let nonblocking = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        let mut options = OpenOptions::new();
        options.append(true).read(true).create(true);
        let file = kit::files::open_with(path, &mut options, nonblocking)?;
        let meta = file.metadata()?;
        let mut segment = Self {
            file,
            id: (meta.dev(), meta.ino()),
            size: 0,
            lines: 0,
            line_start: 0,
            torn: false,
            own: Vec::new(),
            sums: Sums::default(),
            strange: Vec::new(),
            marked: 0,
            is_marked: true,
        };
        let gone = match known {
            _ if !meta.is_file() => Amount::default(),
            Some(known) if known.bytes > meta.len() => segment.learn_cut(known, meta.len())?,
            Some(known) => segment.learn(known, meta.len()).map(|()| Amount::default())?,
            None => segment.adopt(meta.len()).map(|()| Amount::default())?,
        };
        Ok((segment, gone))
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// The parts that the launcher itself wrote.
    pub(super) fn own(&self) -> &[Part] {
        &self.own
    }

    /// All checksums.
    pub(super) fn sums(&self) -> Vec<u32> {
        self.sums.from(0)
    }

    /// The checksums that are not in the journal, and where the first of them begins.
    pub(super) fn unmarked_sums(&self) -> (u64, Vec<u32>) {
        let block = whole_blocks(self.marked);
        ((block * BLOCK) as u64, self.sums.from(block))
    }

    /// Whether the journal is up to date.
    pub(super) fn is_marked(&self) -> bool {
        self.is_marked
    }

    /// The journal is up to date.
    pub(super) fn set_marked(&mut self) {
        (self.marked, self.is_marked) = (self.size, true);
    }

    /// Returns new parts that we did not write, and forgets them.
    pub(super) fn take_strange(&mut self) -> Vec<Part> {
        std::mem::take(&mut self.strange)
    }

    /// Whether the next byte begins a line.
    pub(super) fn is_at_line_start(&self) -> bool {
        self.size == self.line_start
    }

    /// The components' lines and bytes in it.
    pub(super) fn content(&self) -> Amount {
        let own: u64 = self.own.iter().map(|(from, to)| to - from).sum();
        Amount { lines: self.lines.saturating_sub(self.own.len() as u64), bytes: self.size - own }
    }

    /// Appends everything, or only complete lines of it.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), WriteFailure> {
        if self.torn {
            self.end_torn().map_err(|error| WriteFailure { error, kept: 0, taken_back: 0, cut: false })?;
        }
        let before = (self.size, self.lines, self.line_start);
        let mut written = 0;
        while written < bytes.len() {
            match self.write_some(&bytes[written..]) {
                Ok(count) => {
                    self.note(&bytes[written..written + count]);
                    written += count;
                }
                Err(error) => return Err(self.take_back(error, written)),
            }
        }
        if self.takes_back_from_a_cut_file(bytes) {
            (self.size, self.lines, self.line_start) = before;
            return Err(WriteFailure::cut());
        }
        Ok(())
    }

    /// Whether the file was truncated between its check and the write that was just appended, which is then undone: after a partial line of
    /// something else it could not be told which bytes are whose.
    fn takes_back_from_a_cut_file(&self, bytes: &[u8]) -> bool {
        let length = self.file.metadata().map_or(self.size, |meta| meta.len());
        let Some(cut) = length.checked_sub(bytes.len() as u64).filter(|_| length < self.size) else {
            return false;
        };
        let mut end = vec![0; bytes.len()];
        // If the end is different, the file was truncated after the write.
        let is_ours = self.file.read_exact_at(&mut end, cut).is_ok() && end == bytes;
        is_ours && self.file.set_len(cut).is_ok()
    }

    /// Appends a notice by the launcher.
    pub(super) fn append_own(&mut self, text: &[u8]) -> Result<(), WriteFailure> {
        self.append(text)?;
        self.own.push((self.size - text.len() as u64, self.size));
        Ok(())
    }

    /// Undoes the current line, and returns its length.
    pub(super) fn take_back_line(&mut self) -> u64 {
        let open = self.size - self.line_start;
        if open > 0 {
            // If that is impossible, as on a device, the partial line stays and is ended by the next write.
            self.torn = self.file.set_len(self.line_start).is_err();
            if !self.torn {
                self.size = self.line_start;
                self.sum_anew();
            }
            self.line_start = self.size;
        }
        open
    }

    /// Checks the file, which should be at `path`.
    pub(super) fn check(&mut self, path: &Path) -> Found {
        match std::fs::metadata(path) {
            Ok(meta) if (meta.dev(), meta.ino()) == self.id => {
                if !meta.is_file() || meta.len() == self.size {
                    return Found::Intact;
                }
                if meta.len() < self.size {
                    return Found::Truncated;
                }
                // The file can be written even if it cannot be read.
                let _ = self.adopt(meta.len());
                Found::Intact
            }
            // A file that cannot be checked may well exist.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Found::Intact,
            Ok(_) | Err(_) => match self.file.metadata() {
                Ok(meta) if meta.nlink() > 0 && meta.is_file() && meta.len() < self.size => Found::Truncated,
                Ok(meta) if meta.nlink() > 0 => Found::Moved,
                Ok(_) | Err(_) => Found::Deleted,
            },
        }
    }

    /// Accepts the file as it is after it was truncated, without an incomplete line. Returns what of the components is lost.
    pub(super) fn accept_cut(&mut self) -> io::Result<Amount> {
        let before = self.content();
        let length = self.file.metadata()?.len().min(self.size);
        self.own.retain(|(_, to)| *to <= length);
        self.forget();
        self.scan(length)?;
        self.take_back_line();
        Ok(before.less(self.content()))
    }

    /// Continues where an earlier launcher stopped. Content beyond `known` was written in its last moments.
    fn learn(&mut self, known: &Written, length: u64) -> io::Result<()> {
        let blocks = whole_blocks(known.bytes).min(known.sums.len());
        self.sums = Sums::after(known.sums[..blocks].to_vec());
        self.own.clone_from(&known.own);
        self.size = (blocks * BLOCK) as u64;
        self.marked = self.size;
        self.scan(known.bytes)?;
        if self.sums.from(blocks) != known.sums[blocks..] {
            self.strange.push(((blocks * BLOCK) as u64, known.bytes));
        }
        self.lines = known.lines;
        self.is_marked = length == known.bytes;
        let mut last = [b'\n'];
        if self.size == length && length > 0 {
            self.file.read_exact_at(&mut last, length - 1)?;
            self.line_start = self.size - u64::from(last != *b"\n");
        }
        self.adopt(length)
    }

    /// Like [`Self::learn`], for a file that is shorter than it was.
    fn learn_cut(&mut self, known: &Written, length: u64) -> io::Result<Amount> {
        self.own.clone_from(&known.own);
        self.own.retain(|(_, to)| *to <= length);
        self.scan(length)?;
        self.take_back_line();
        self.strange.push((0, self.size));
        let (before, after) = (known.content(), self.content());
        Ok(before.less(after))
    }

    /// Includes what others wrote, up to `length`.
    fn adopt(&mut self, length: u64) -> io::Result<()> {
        if length > self.size {
            self.strange.push((self.size, length));
        }
        self.scan(length)?;
        self.torn = self.size > self.line_start;
        self.line_start = self.size;
        Ok(())
    }

    /// Reads the file from the known part up to `length`.
    fn scan(&mut self, length: u64) -> io::Result<()> {
        let mut step = vec![0; STEP];
        while self.size < length {
            let wanted = usize::try_from(length - self.size).map_or(STEP, |rest| rest.min(STEP));
            let count = self.file.read_at(&mut step[..wanted], self.size)?;
            if count == 0 {
                break;
            }
            self.size += count as u64;
            self.note(&step[..count]);
        }
        Ok(())
    }

    /// Forgets the file's content, except our own parts.
    fn forget(&mut self) {
        (self.size, self.lines, self.line_start, self.marked) = (0, 0, 0, 0);
        (self.torn, self.is_marked) = (false, false);
        self.sums = Sums::default();
    }

    /// Recomputes the checksums after the end was undone.
    fn sum_anew(&mut self) {
        let (sums, from) = self.sums.before(self.size);
        let mut end = vec![0; usize::try_from(self.size - from).expect("less than a block")];
        self.sums = sums;
        if self.file.read_exact_at(&mut end, from).is_ok() {
            self.sums.add(&end);
        }
        self.marked = self.marked.min(self.size);
        self.is_marked = false;
    }

    /// Counts what was appended.
    fn note(&mut self, bytes: &[u8]) {
        self.sums.add(bytes);
        self.is_marked = false;
        if let Some(end) = memchr::memrchr(b'\n', bytes) {
            self.line_start = self.size - (bytes.len() - end - 1) as u64;
            self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        }
    }

    fn end_torn(&mut self) -> io::Result<()> {
        self.write_some(b"\n")?;
        self.note(b"\n");
        self.own.push((self.size - 1, self.size));
        self.torn = false;
        Ok(())
    }

    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.size += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn take_back(&mut self, error: io::Error, written: usize) -> WriteFailure {
        let open = self.take_back_line();
        let of_this_write = open.min(written as u64);
        let kept = written - usize::try_from(of_this_write).expect("no more than was written");
        WriteFailure { error, kept, taken_back: open - of_this_write, cut: false }
    }
}
