//! The end of a file, and what is written to it afterwards, across rotation.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The end is looked for in steps of this size.
const BLOCK: u64 = 64 * 1024;
/// More of the end than this is not kept, however few lines it holds.
const MAX_END: u64 = 16 << 20;
/// A line longer than this is shown in parts.
const MAX_LINE: usize = 1 << 20;

/// The last lines of a file, without their ends. A file that is not there has none.
pub(super) fn last_lines(path: &Path, count: usize) -> io::Result<Vec<Vec<u8>>> {
    match Follower::open(path.to_owned(), count) {
        Ok((lines, _)) => Ok(lines),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Reads on where the end was.
#[derive(Debug)]
pub(super) struct Follower {
    path: PathBuf,
    file: Option<File>,
    /// Bytes after the last line's end.
    partial: Vec<u8>,
}

impl Follower {
    /// The last lines, and what follows them.
    pub(super) fn open(path: PathBuf, count: usize) -> io::Result<(Vec<Vec<u8>>, Self)> {
        let mut file = File::open(&path)?;
        let end = end_of(&mut file, count)?;
        let mut lines: Vec<Vec<u8>> = end.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let partial = lines.pop().unwrap_or_default();
        let surplus = lines.len().saturating_sub(count);
        lines.drain(..surplus);
        Ok((lines, Self { path, file: Some(file), partial }))
    }

    /// A file that is not there yet.
    pub(super) fn awaiting(path: PathBuf) -> Self {
        Self { path, file: None, partial: Vec::new() }
    }

    /// The file's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The whole lines that were written since. After a rotation the old file is read to its end first.
    pub(super) fn poll(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
        self.drain(&mut lines)?;
        if self.has_moved()? {
            // Between the two looks something may still have been written to the old one.
            self.drain(&mut lines)?;
            if !self.partial.is_empty() {
                lines.push(std::mem::take(&mut self.partial));
            }
            self.file = Some(File::open(&self.path)?);
            self.drain(&mut lines)?;
        }
        Ok(lines)
    }

    fn drain(&mut self, lines: &mut Vec<Vec<u8>>) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        // Somebody emptied it: what comes now is new.
        if file.metadata()?.len() < file.stream_position()? {
            file.rewind()?;
            self.partial.clear();
        }
        let mut block = vec![0; usize::try_from(BLOCK).expect("a block fits into memory")];
        loop {
            let read = file.read(&mut block)?;
            if read == 0 {
                return Ok(());
            }
            for byte in &block[..read] {
                if *byte == b'\n' || self.partial.len() >= MAX_LINE {
                    lines.push(std::mem::take(&mut self.partial));
                }
                if *byte != b'\n' {
                    self.partial.push(*byte);
                }
            }
        }
    }

    /// Whether the path names another file by now.
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

/// The file's end, beginning at a line and holding at least `count` of them where there are so many. Leaves the file at its end.
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
    fn a_follower_loses_nothing_over_rotation_and_truncation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut follower = Follower::awaiting(path.clone());
        assert!(follower.poll().unwrap().is_empty());
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(texts(follower.poll().unwrap()), ["one"]);
        file.write_all(b"o\nthree\n").unwrap();
        std::fs::rename(&path, directory.path().join("a.1.log")).unwrap();
        std::fs::write(&path, "four\n").unwrap();
        assert_eq!(texts(follower.poll().unwrap()), ["two", "three", "four"]);
        std::fs::write(&path, "5\n").unwrap();
        assert_eq!(texts(follower.poll().unwrap()), ["5"]);
    }
}
