//! A log file of bounded size: when it is full it is renamed to `NAME.1.EXTENSION`, and earlier files move up.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::supervisor::LogPolicy;
use crate::supervisor::logs::launcher_log::Limits;

/// Writes lines; each call has complete lines, so no line is ever split.
///
/// Bounds: `max_bytes` per file, `max_files` rotated files; the oldest are deleted. Changed limits apply from the next line on. After any
/// failure the next line tries again: a log must never end the process. A file that others delete or move is created again.
#[derive(Debug)]
pub(crate) struct SizeRotator {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    limits: Limits,
    /// Bytes in files that others deleted, since this was last taken.
    lost: u64,
}

impl SizeRotator {
    /// Opens the file for appending.
    pub(crate) fn open(path: PathBuf, limits: Limits) -> io::Result<Self> {
        let (file, size) = append_to(&path)?;
        Ok(Self { path, file: Some(file), size, limits, lost: 0 })
    }

    /// The number of bytes that others deleted since the last call.
    pub(crate) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Closes a file that is no longer at its path.
    fn check_path(&mut self) {
        let Some(held) = self.file.as_ref().and_then(|file| file.metadata().ok()) else { return };
        let there = std::fs::metadata(&self.path).ok();
        if there.is_some_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())) {
            return;
        }
        // A moved file still has its lines; a deleted one has lost them.
        if held.nlink() == 0 {
            self.lost += self.size;
        }
        self.file = None;
        self.size = 0;
    }

    fn rotate(&mut self, keep: usize) -> io::Result<()> {
        self.file = None;
        // If the limit was lowered there are more files than it allows.
        for number in (keep + 1..).take_while(|number| self.rotated(*number).exists()) {
            std::fs::remove_file(self.rotated(number))?;
        }
        for number in (1..keep).rev() {
            rename(&self.rotated(number), &self.rotated(number + 1))?;
        }
        if keep > 0 {
            rename(&self.path, &self.rotated(1))?;
        } else {
            std::fs::remove_file(&self.path)?;
        }
        Ok(())
    }

    fn rotated(&self, number: usize) -> PathBuf {
        let extension = self.path.extension().unwrap_or_default().to_string_lossy();
        self.path.with_extension(format!("{number}.{extension}"))
    }
}

fn append_to(path: &Path) -> io::Result<(File, u64)> {
    let file = kit::files::open(path, OpenOptions::new().append(true).create(true))?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Write for SizeRotator {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.check_path();
        let LogPolicy { max_bytes, max_files, .. } = self.limits.get();
        let is_full = self.size > 0 && self.size + line.len() as u64 > max_bytes;
        if is_full {
            self.rotate(max_files)?;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let (file, size) = append_to(&self.path)?;
                self.size = size;
                self.file.insert(file)
            }
        };
        file.write_all(line)?;
        self.size += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Every write is unbuffered.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(max_bytes: u64, max_files: usize) -> Limits {
        Limits::new(LogPolicy { max_bytes, max_files, ..LogPolicy::default() })
    }

    #[test]
    fn every_line_is_kept_whole_within_the_bounds() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        let limits = limits(100, 3);
        let mut rotator = SizeRotator::open(path.clone(), limits.clone()).unwrap();
        for number in 0..50 {
            rotator.write_all(format!("line number {number:04}\n").as_bytes()).unwrap();
        }
        let mut all = String::new();
        for name in ["events.3.jsonl", "events.2.jsonl", "events.1.jsonl", "events.jsonl"] {
            let text = std::fs::read_to_string(directory.path().join(name)).unwrap();
            assert!(text.len() <= 100 && text.ends_with('\n'));
            all.push_str(&text);
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 4);
        let numbers: Vec<usize> = all.lines().map(|line| line[12..].parse().unwrap()).collect();
        assert_eq!(numbers.last(), Some(&49));
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");

        limits.set(LogPolicy { max_bytes: 60, max_files: 1, ..LogPolicy::default() });
        for number in 50..60 {
            rotator.write_all(format!("line number {number:04}\n").as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "what is too much has gone");
        assert!(std::fs::metadata(&path).unwrap().len() <= 60);
    }

    #[test]
    fn a_file_that_others_delete_or_move_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        let mut rotator = SizeRotator::open(path.clone(), limits(100, 1)).unwrap();
        rotator.write_all(b"one\n").unwrap();
        std::fs::remove_file(&path).unwrap();
        rotator.write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(rotator.take_lost(), 4);
        std::fs::rename(&path, directory.path().join("elsewhere")).unwrap();
        rotator.write_all(b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
        assert_eq!(rotator.take_lost(), 0, "what was moved is still there");
    }

    #[test]
    fn a_directory_that_comes_back_is_written_to_again() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join("logs");
        std::fs::create_dir(&logs).unwrap();
        let path = logs.join("events.jsonl");
        let mut rotator = SizeRotator::open(path.clone(), limits(10, 1)).unwrap();
        rotator.write_all(b"12345678\n").unwrap();
        std::fs::remove_dir_all(&logs).unwrap();
        assert!(rotator.write_all(b"lost one\n").is_err());
        assert_eq!(rotator.take_lost(), 9);
        std::fs::create_dir(&logs).unwrap();
        rotator.write_all(b"kept one\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept one\n");
    }
}
