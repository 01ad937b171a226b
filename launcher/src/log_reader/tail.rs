//! Reads the end of a log and follows it across rotations.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::supervisor::logs::names::{self, Form, RotatedFile};
use crate::supervisor::logs::verify::open;

/// The end is searched in blocks of this size.
const BLOCK: u64 = 64 * 1024;
/// The maximum size of the end that is kept, however few lines it contains.
const MAX_END: u64 = 16 << 20;
/// Longer lines are shown in parts.
pub(crate) const MAX_LINE: usize = 1 << 20;

/// A line without a newline that has not grown for this many polls, about a second, is shown: it may be a prompt.
const MAX_IDLE_POLLS: u32 = 50;

/// The last lines of a file, without their newlines, and an incomplete line at the end. A missing file has none.
pub(crate) fn last_lines(path: &Path, count: usize) -> io::Result<Vec<Vec<u8>>> {
    match File::open(path) {
        Ok(file) => last_lines_of(file, count),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The last lines of an open file.
pub(super) fn last_lines_of(mut file: File, count: usize) -> io::Result<Vec<Vec<u8>>> {
    let (mut lines, partial) = ends(end_of(&mut file, count)?, count);
    if !partial.is_empty() {
        lines.push(partial);
        lines.drain(..lines.len().saturating_sub(count));
    }
    Ok(lines)
}

/// Follows a log.
#[derive(Debug)]
pub(crate) struct Follower {
    directory: PathBuf,
    component: String,
    path: PathBuf,
    file: Option<File>,
    /// The number of the last file that was rotated before ours began.
    seen: u64,
    /// Bytes after the last newline.
    partial: Vec<u8>,
    /// The number of polls in which they have not grown.
    idle_polls: u32,
}

impl Follower {
    /// The last lines of the current file, and the follower that continues after them.
    pub(crate) fn open(directory: &Path, component: &str, count: usize) -> io::Result<(Vec<Vec<u8>>, Self)> {
        let mut follower = Self::begin(directory, component)?;
        let Some(file) = &mut follower.file else { return Ok((Vec::new(), follower)) };
        let (lines, partial) = ends(end_of(file, count)?, count);
        follower.partial = partial;
        Ok((lines, follower))
    }

    /// A follower that starts where the returned file is; the two share its position.
    pub(crate) fn from_start(directory: &Path, component: &str) -> io::Result<(Self, Option<File>)> {
        let follower = Self::begin(directory, component)?;
        let file = follower.file.as_ref().map(File::try_clone).transpose()?;
        Ok((follower, file))
    }

    /// A follower of a log that does not exist yet.
    pub(crate) fn awaiting(directory: &Path, component: &str) -> io::Result<Self> {
        let path = directory.join(names::live(component));
        let (directory, component) = (directory.to_owned(), component.to_owned());
        let mut follower =
            Self { directory, component, path, file: None, seen: 0, partial: Vec::new(), idle_polls: 0 };
        follower.seen = follower.newer()?.last().map_or(0, |aside| aside.sequence);
        Ok(follower)
    }

    /// Sets the part of the next line that was already read.
    pub(crate) fn begin_with(&mut self, partial: Vec<u8>) {
        self.partial = partial;
    }

    /// The component whose log it is.
    pub(crate) fn component(&self) -> &str {
        &self.component
    }

    /// The number of the last file that was rotated before the one being followed.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// The incomplete line, if any.
    pub(crate) fn take_partial(&mut self) -> Option<Vec<u8>> {
        (!self.partial.is_empty()).then(|| std::mem::take(&mut self.partial))
    }

    /// New lines, including one that stays without a newline, whose rest is then a line of its own. After a rotation the old file is read
    /// to its end first, then files that were created and rotated meanwhile.
    pub(crate) fn poll(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let (mut lines, before) = (Vec::new(), self.partial.len());
        self.drain(&mut lines)?;
        let rests = lines.is_empty() && self.partial.len() == before;
        self.idle_polls = if rests { self.idle_polls.saturating_add(1) } else { 0 };
        if self.idle_polls == MAX_IDLE_POLLS {
            lines.extend(self.take_partial());
        }
        if self.has_moved()? {
            // Something may have been written to the old file between the two polls.
            self.drain(&mut lines)?;
            if !self.partial.is_empty() {
                lines.push(std::mem::take(&mut self.partial));
            }
            loop {
                self.read_missed(&mut lines)?;
                let file = self.live()?;
                // If it was rotated at this moment, it is read there.
                if self.newer()?.is_empty() {
                    self.file = file;
                    break;
                }
            }
            self.drain(&mut lines)?;
        }
        Ok(lines)
    }

    /// Reads the files that were rotated since ours began, except ours.
    fn read_missed(&mut self, lines: &mut Vec<Vec<u8>>) -> io::Result<()> {
        let mut ours = self.file.take();
        for aside in self.newer()? {
            let is_ours = match ours.take() {
                Some(file) => aside.form == Form::Compressed || is_same(&file, &aside.path),
                None => false,
            };
            if !is_ours {
                take(&mut *open(&aside.path, aside.form)?, &mut self.partial, lines)?;
            }
            self.seen = aside.sequence;
        }
        Ok(())
    }

    /// The current file, if it exists.
    fn live(&self) -> io::Result<Option<File>> {
        match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => Ok(Some(other?)),
        }
    }

    /// Begins with the current file, and with no rotated one, whatever happens meanwhile.
    fn begin(directory: &Path, component: &str) -> io::Result<Self> {
        let mut follower = Self::awaiting(directory, component)?;
        loop {
            follower.file = follower.live()?;
            match follower.newer()?.last() {
                Some(aside) => follower.seen = aside.sequence,
                None => return Ok(follower),
            }
        }
    }

    /// The files rotated after those that were read.
    fn newer(&self) -> io::Result<Vec<RotatedFile>> {
        let mut newer = names::list(&self.directory)?;
        newer.retain(|it| {
            it.component == self.component && it.sequence > self.seen && it.form != Form::Unfinished
        });
        newer.sort_by_key(|aside| (aside.sequence, aside.form == Form::Compressed));
        newer.dedup_by_key(|aside| aside.sequence);
        Ok(newer)
    }

    fn drain(&mut self, lines: &mut Vec<Vec<u8>>) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        // The file was truncated: everything is new.
        if file.metadata()?.len() < file.stream_position()? {
            file.rewind()?;
            self.partial.clear();
        }
        take(file, &mut self.partial, lines)
    }

    /// Whether the path has another file by now.
    fn has_moved(&self) -> io::Result<bool> {
        let now = match std::fs::metadata(&self.path) {
            Ok(now) => now,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let Some(file) = &self.file else { return Ok(true) };
        let ours = file.metadata()?;
        Ok((ours.dev(), ours.ino()) != (now.dev(), now.ino()))
    }
}

fn is_same(file: &File, path: &Path) -> bool {
    let (Ok(one), Ok(other)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Takes all complete lines, and keeps the rest.
fn take(file: &mut dyn Read, partial: &mut Vec<u8>, lines: &mut Vec<Vec<u8>>) -> io::Result<()> {
    let mut block = vec![0; usize::try_from(BLOCK).expect("a block fits into memory")];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(());
        }
        for piece in block[..read].split_inclusive(|byte| *byte == b'\n') {
            let (text, has_end) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            partial.extend_from_slice(text);
            if has_end || partial.len() >= MAX_LINE {
                lines.push(std::mem::take(partial));
            }
        }
    }
}

/// The last lines of a text, and the text after the last newline.
fn ends(text: Vec<u8>, count: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let partial = lines.pop().unwrap_or_default();
    let surplus = lines.len().saturating_sub(count);
    lines.drain(..surplus);
    (lines, partial)
}

/// The end of the file, beginning at a line and with at least `count` lines if there are as many. Leaves the file at its end.
fn end_of(file: &mut File, count: usize) -> io::Result<Vec<u8>> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut size = 0;
    loop {
        size = (size + BLOCK).min(length);
        file.seek(SeekFrom::Start(length - size))?;
        let mut bytes = Vec::new();
        file.take(size).read_to_end(&mut bytes)?;
        let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
        if size == length {
            return Ok(bytes);
        }
        if ends > count || size >= MAX_END {
            let first = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |index| index + 1);
            return Ok(bytes.split_off(first));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn texts(lines: Vec<Vec<u8>>) -> Vec<String> {
        lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn the_last_lines_are_found_however_long_the_file_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        assert!(last_lines(&path, 3).unwrap().is_empty());
        let text: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
        std::fs::write(&path, text).unwrap();
        assert_eq!(texts(last_lines(&path, 2).unwrap()), ["line 19998", "line 19999"]);
        assert_eq!(last_lines(&path, 15_000).unwrap().len(), 15_000);
        assert_eq!(last_lines(&path, 99_999).unwrap().len(), 20_000);
    }

    #[test]
    fn a_prompt_is_shown_after_a_while() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        std::fs::write(&path, "one\nPassword: ").unwrap();
        assert_eq!(texts(last_lines(&path, 1).unwrap()), ["Password: "]);
        let (lines, mut follower) = Follower::open(directory.path(), "a", 9).unwrap();
        assert_eq!(texts(lines), ["one"]);
        let mut poll = || texts(follower.poll().unwrap());
        assert!((1..MAX_IDLE_POLLS).all(|_| poll().is_empty()));
        assert_eq!(poll(), ["Password: "]);
        assert!((0..2 * MAX_IDLE_POLLS).all(|_| poll().is_empty()));
        File::options().append(true).open(&path).unwrap().write_all(b"thanks\n").unwrap();
        assert_eq!(poll(), ["thanks"]);
    }

    #[test]
    fn a_follower_loses_nothing_over_rotations_and_truncation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let aside = |number| directory.path().join(format!("a.20261121T120307Z.{number:06}.log"));
        let mut follower = Follower::awaiting(directory.path(), "a").unwrap();
        assert!(follower.poll().unwrap().is_empty());
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(texts(follower.poll().unwrap()), ["one"]);
        file.write_all(b"o\nthree\n").unwrap();
        std::fs::rename(&path, aside(1)).unwrap();
        std::fs::write(&path, "four\n").unwrap();
        assert_eq!(texts(follower.poll().unwrap()), ["two", "three", "four"]);
        // Two files are created and rotated between two polls, one of them ours.
        std::fs::rename(&path, aside(2)).unwrap();
        std::fs::write(aside(3), "five\n").unwrap();
        std::fs::write(aside(4), "six\n").unwrap();
        std::fs::write(&path, "seven\n").unwrap();
        assert_eq!(texts(follower.poll().unwrap()), ["five", "six", "seven"]);
        std::fs::write(&path, "8\n").unwrap();
        assert_eq!(texts(follower.poll().unwrap()), ["8"]);
        assert!(follower.poll().unwrap().is_empty());
    }
}
