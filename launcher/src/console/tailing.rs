//! The lines that are added to logs, for one subscriber. What comes faster than it can be told is skipped, and said.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::log_reader::timestamp;
use crate::supervisor::logs::names;

/// What is read of one log at one look; older than that is skipped.
const MOST: u64 = 64 * 1024;
/// A line longer than this is told in parts.
const MAX_LINE: usize = 16 * 1024;

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(super) struct LogLine {
    /// The log's component.
    pub(super) component: String,
    /// The time that the line begins with, or that of a line before it; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<String>,
    /// The line, without its end.
    pub(super) text: String,
}

/// What was added to one log.
#[derive(Debug, Default, PartialEq, Serialize, JsonSchema)]
pub(super) struct Added {
    /// The log's component.
    pub(super) component: String,
    /// The lines, oldest first.
    pub(super) lines: Vec<LogLine>,
    /// Bytes before them that were written too fast to be told; they are in the log.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) skipped_bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One log that is followed, from its end on.
#[derive(Debug)]
pub(super) struct Tail {
    component: String,
    path: PathBuf,
    file: Option<File>,
    partial: Vec<u8>,
}

impl Tail {
    /// Follows a log that may not be there yet.
    pub(super) fn open(logs: &Path, component: &str) -> io::Result<Self> {
        let path = logs.join(names::live(component));
        let mut file = open(&path)?;
        if let Some(file) = &mut file {
            file.seek(SeekFrom::End(0))?;
        }
        Ok(Self { component: component.to_owned(), path, file, partial: Vec::new() })
    }

    pub(super) fn component(&self) -> &str {
        &self.component
    }

    /// What was added since the last look.
    pub(super) fn look(&mut self) -> io::Result<Added> {
        let mut added = Added { component: self.component.clone(), ..Added::default() };
        self.read(&mut added)?;
        let now = open(&self.path)?;
        if let Some(new) = now
            && !self.file.as_ref().is_some_and(|old| is_same(old, &new))
        {
            // Between the two something may still have been written to the old one.
            self.read(&mut added)?;
            self.end_line(&mut added);
            self.file = Some(new);
            self.read(&mut added)?;
        }
        Ok(added)
    }

    fn read(&mut self, added: &mut Added) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let (at, end) = (file.stream_position()?, file.metadata()?.len());
        if end < at {
            // Somebody emptied it: what comes now is new.
            file.rewind()?;
            self.partial.clear();
        } else if end - at > MOST {
            file.seek(SeekFrom::Start(end - MOST))?;
            added.skipped_bytes += end - MOST - at + self.partial.len() as u64;
            self.partial.clear();
        }
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, has_end) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            self.partial.extend_from_slice(text);
            if has_end || self.partial.len() >= MAX_LINE {
                self.end_line(added);
            }
        }
        Ok(())
    }

    fn end_line(&mut self, added: &mut Added) {
        let line = std::mem::take(&mut self.partial);
        if !line.is_empty() {
            added.lines.push(line_of(&self.component, &line, timestamp::leading(&line)));
        }
    }
}

/// A line as it is told.
pub(super) fn line_of(component: &str, text: &[u8], time: Option<&[u8]>) -> LogLine {
    let text = String::from_utf8_lossy(text.strip_suffix(b"\r").unwrap_or(text)).into_owned();
    let time = time.filter(|time| !time.is_empty()).map(|time| format!("{}Z", String::from_utf8_lossy(time)));
    LogLine { component: component.to_owned(), time, text }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

fn is_same(one: &File, other: &File) -> bool {
    let (Ok(one), Ok(other)) = (one.metadata(), other.metadata()) else { return false };
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn texts(added: &Added) -> Vec<&str> {
        added.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn what_is_added_is_told_over_rotations_and_what_comes_too_fast_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut tail = Tail::open(directory.path(), "a").unwrap();
        assert_eq!(tail.look().unwrap().lines, []);
        let mut file = File::create(&path).unwrap();
        file.write_all(b"2026-11-20T23:21:22Z one\ntw").unwrap();
        let added = tail.look().unwrap();
        assert_eq!(texts(&added), ["2026-11-20T23:21:22Z one"]);
        assert_eq!(added.lines[0].time.as_deref(), Some("2026-11-20T23:21:22Z"));
        file.write_all(b"o\nthree\n").unwrap();
        std::fs::rename(&path, directory.path().join("old")).unwrap();
        std::fs::write(&path, "four\n").unwrap();
        assert_eq!(texts(&tail.look().unwrap()), ["two", "three", "four"]);
        std::fs::write(&path, "5\n").unwrap();
        assert_eq!(texts(&tail.look().unwrap()), ["5"]);

        let line = format!("{}\n", "x".repeat(999));
        std::fs::write(&path, line.repeat(200)).unwrap();
        let added = tail.look().unwrap();
        assert!(added.skipped_bytes > 100_000 && added.lines.len() < 70, "{}", added.skipped_bytes);
        let told: usize = added.lines.iter().map(|line| line.text.len() + 1).sum();
        assert_eq!(added.skipped_bytes as usize + told + 2, 200_000);
        assert_eq!(tail.look().unwrap(), Added { component: "a".to_owned(), ..Added::default() });
        // The next log begins where the one that is followed begins.
        assert_eq!(Tail::open(directory.path(), "a").unwrap().look().unwrap().lines, []);
    }
}
