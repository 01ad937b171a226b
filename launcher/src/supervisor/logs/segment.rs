//! One log file on disk: appends, and knows where its last whole line ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// An open log file.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    /// Its device and inode: what it is, whatever its name.
    id: (u64, u64),
    size: u64,
    /// Where the line under way begins; `size` when none is.
    line_start: u64,
    /// Its last line has no end and could not be taken back: the next write ends it first.
    torn: bool,
}

/// A write that failed. No part of a line is left in the file by it.
#[derive(Debug)]
pub(super) struct WriteFailure {
    pub(super) error: io::Error,
    /// How many bytes of the write, whole lines, are in the file.
    pub(super) kept: usize,
    /// How many bytes of the line under way, written before, were taken back.
    pub(super) taken_back: u64,
}

impl Segment {
    /// Opens or creates it. What is no regular file, or a link to a device, is taken as it is, but never waited for.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let nonblocking = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        let flags = i32::try_from(nonblocking.bits()).expect("the flags of open(2) fit an int");
        let mut options = OpenOptions::new();
        options.append(true).read(true).create(true).mode(0o640).custom_flags(flags);
        let mut file = options.open(path)?;
        let meta = file.metadata()?;
        let torn = meta.len() > 0 && !ends_line(&mut file).unwrap_or(true);
        Ok(Self { file, id: (meta.dev(), meta.ino()), size: meta.len(), line_start: meta.len(), torn })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether the next byte begins a line.
    pub(super) fn is_at_line_start(&self) -> bool {
        self.size == self.line_start
    }

    /// Appends everything, or only whole lines of it.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), WriteFailure> {
        if self.torn {
            self.write_some(b"\n").map_err(|error| WriteFailure { error, kept: 0, taken_back: 0 })?;
            self.torn = false;
            self.line_start = self.size;
        }
        let mut written = 0;
        while written < bytes.len() {
            match self.write_some(&bytes[written..]) {
                Ok(count) => {
                    if let Some(end) = memchr::memrchr(b'\n', &bytes[written..written + count]) {
                        self.line_start = self.size - (count - end - 1) as u64;
                    }
                    written += count;
                }
                Err(error) => return Err(self.take_back(error, written)),
            }
        }
        Ok(())
    }

    /// Whether `path` still names this file; learns its size if somebody changed it.
    pub(super) fn is_at(&mut self, path: &Path) -> bool {
        let Ok(meta) = std::fs::metadata(path) else { return false };
        let same = (meta.dev(), meta.ino()) == self.id;
        if same && meta.is_file() && meta.len() != self.size {
            self.size = meta.len();
            self.line_start = meta.len();
        }
        same
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
        let open = self.size - self.line_start;
        let of_this_write = open.min(written as u64);
        if open > 0 {
            // Where that cannot be done, as on a device, the half line stays and is ended by the next write.
            self.torn = self.file.set_len(self.line_start).is_err();
            self.size = if self.torn { self.size } else { self.line_start };
            self.line_start = self.size;
        }
        let kept = written - usize::try_from(of_this_write).expect("no more than was written");
        WriteFailure { error, kept, taken_back: open - of_this_write }
    }
}

fn ends_line(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
