//! Reads all existing logs of a component: the rotated files and the current one.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::tail::{Follower, MAX_LINE, last_lines_of};
use crate::supervisor::logs::names::{Form, RotatedFile, list};
use crate::supervisor::logs::verify::open;

/// The rotated files before the one being followed, oldest first.
fn rotated(directory: &Path, follower: &Follower) -> io::Result<Vec<RotatedFile>> {
    let component = follower.component();
    let mut dated = list(directory)?;
    dated.retain(|it| {
        it.component == component && it.form != Form::Unfinished && it.sequence <= follower.seen()
    });
    dated.sort_by_key(|aside| (aside.sequence, aside.form == Form::Compressed));
    // A file may be both compressed and not yet removed; one of the two is enough.
    dated.dedup_by_key(|aside| aside.sequence);
    Ok(dated)
}

/// The last lines of a component, and the follower that continues after them.
pub(super) fn last(directory: &Path, component: &str, count: usize) -> io::Result<(Vec<Vec<u8>>, Follower)> {
    let (mut lines, follower) = Follower::open(directory, component, count)?;
    for aside in rotated(directory, &follower)?.iter().rev() {
        let missing = count - lines.len().min(count);
        if missing == 0 {
            break;
        }
        // A plain one may be compressed at any moment, and each may be deleted under the size limits.
        let plain = match aside.form {
            Form::Plain => found(File::open(&aside.path))?,
            Form::Unfinished | Form::Compressed => None,
        };
        let mut earlier = match plain {
            Some(file) => last_lines_of(file, missing)?,
            None => match found(open(&aside.path, aside.form))? {
                Some(file) => last_of(file, missing)?,
                None => Vec::new(),
            },
        };
        earlier.append(&mut lines);
        lines = earlier;
    }
    Ok((lines, follower))
}

/// What was opened; none where there is no such file.
fn found<T>(opened: io::Result<T>) -> io::Result<Option<T>> {
    match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

fn last_of(file: impl Read, count: usize) -> io::Result<Vec<Vec<u8>>> {
    let mut file = BufReader::new(file);
    let mut lines = VecDeque::new();
    while let Some(line) = next_line(&mut file)? {
        if lines.len() == count {
            lines.pop_front();
        }
        lines.push_back(line);
    }
    Ok(lines.into())
}

/// The next line without its newline, or the rest if there is none; of an overlong line a part.
fn next_line(file: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    file.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.ends_with(b"\n") {
        line.pop();
    }
    Ok(Some(line))
}

/// Reads forward, beginning with the file that contains a given time.
pub(super) struct Reader {
    rotated: VecDeque<RotatedFile>,
    current: Option<BufReader<Box<dyn Read>>>,
    follower: Follower,
    live: Option<BufReader<File>>,
}

impl Reader {
    /// Begins with the first file that was still written to at that time, RFC 3339 in UTC.
    pub(super) fn since(directory: &Path, component: &str, since: &str) -> io::Result<Self> {
        let compact: String = since.chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let (follower, live) = Follower::from_start(directory, component)?;
        let mut rotated: VecDeque<RotatedFile> = rotated(directory, &follower)?.into();
        // A file rotated within the same second may contain later lines; `Z` sorts after any fraction of a second.
        rotated.retain(|aside| aside.stamp >= compact);
        Ok(Self { rotated, current: None, follower, live: live.map(BufReader::new) })
    }

    /// The next line.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(current) = &mut self.current {
                if let Some(line) = next_line(current)? {
                    return Ok(Some(line));
                }
                self.current = None;
            }
            let Some(aside) = self.rotated.pop_front() else { break };
            // It may have been deleted under the size limits.
            let file = found(open(&aside.path, aside.form))?;
            self.current = file.map(|file| BufReader::with_capacity(64 * 1024, file));
        }
        let Some(live) = &mut self.live else { return Ok(None) };
        let mut line = Vec::new();
        live.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
        if line.ends_with(b"\n") {
            line.pop();
            return Ok(Some(line));
        }
        if line.len() == MAX_LINE {
            return Ok(Some(line));
        }
        // The rest of the line is not written yet.
        self.follower.begin_with(line);
        self.live = None;
        Ok(None)
    }

    /// The follower that continues once everything was read.
    pub(super) fn into_follower(self) -> Follower {
        self.follower
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn texts(lines: Vec<Vec<u8>>) -> Vec<String> {
        lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    /// Two rotated files, the older one compressed, and the current one.
    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut gz = flate2::write::GzEncoder::new(
            File::create(path("a.20261121T100000Z.000001.log.gz")).unwrap(),
            flate2::Compression::fast(),
        );
        gz.write_all(b"1\n2\n3\n").unwrap();
        gz.finish().unwrap();
        std::fs::write(path("a.20261121T110000Z.000002.log"), "4\n5\n").unwrap();
        std::fs::write(path("a.log"), "6\n7").unwrap();
        std::fs::write(path("a-b.20261121T110000Z.000001.log"), "another's\n").unwrap();
        directory
    }

    #[test]
    fn the_last_lines_reach_back_into_files_put_aside() {
        let directory = directory();
        let last = |count| texts(last(directory.path(), "a", count).unwrap().0);
        assert_eq!(last(1), ["6"]);
        assert_eq!(last(2), ["5", "6"]);
        assert_eq!(last(5), ["2", "3", "4", "5", "6"]);
        assert_eq!(last(50).len(), 6);
    }

    #[test]
    fn reading_begins_with_the_file_of_the_time_and_goes_over_to_following() {
        let directory = directory();
        let mut reader = Reader::since(directory.path(), "a", "2026-11-21T10:30:00").unwrap();
        let lines: Vec<Vec<u8>> = std::iter::from_fn(|| reader.next().unwrap()).collect();
        assert_eq!(texts(lines), ["4", "5", "6"]);
        let mut follower = reader.into_follower();
        let mut file = std::fs::OpenOptions::new().append(true).open(directory.path().join("a.log")).unwrap();
        file.write_all(b"!\n8\n").unwrap();
        assert_eq!(texts(follower.poll().unwrap()), ["7!", "8"]);
    }
}
