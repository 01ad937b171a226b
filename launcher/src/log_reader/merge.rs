//! Several logs as one: their lines in the order of time.

use std::io;
use std::path::Path;

use super::past::{self, Reader};
use super::tail::Follower;
use super::timestamp;
use crate::supervisor::clock;
use crate::supervisor::logs::names;

/// So many more lines are read to find the time of the first ones.
const CONTEXT: usize = 50;

/// A line and its time, or that of the line before it.
pub(crate) struct Line {
    pub(crate) time: Vec<u8>,
    /// Which log's, counted from 0.
    pub(crate) log: usize,
    pub(crate) text: Vec<u8>,
}

/// The names of the logs there are; what was put aside (`NAME.….log`) is not among them.
///
/// # Errors
/// When the directory cannot be read.
pub(crate) fn known(directory: &Path) -> io::Result<Vec<String>> {
    let files =
        std::fs::read_dir(directory)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut known: Vec<String> =
        files.filter_map(|file| names::component_of(&file).map(str::to_owned)).collect();
    known.sort();
    Ok(known)
}

/// The last lines of all together, or some more, and who reads on.
///
/// # Errors
/// When a log cannot be read.
pub(crate) fn last(
    names: &[String],
    directory: &Path,
    count: usize,
) -> io::Result<(Vec<Line>, Vec<Follower>)> {
    let mut followers = Vec::new();
    let mut lines = Vec::new();
    for name in names {
        let (last, follower) = past::last(directory, name, count.saturating_add(CONTEXT))?;
        lines.push(in_written_order(timed(followers.len(), last)));
        followers.push(follower);
    }
    Ok((merged(lines, clock::rfc3339().as_bytes()), followers))
}

/// Gives every line that was written since a time to `each`, and returns who reads on. The logs are read side by side, so it may be as
/// much as there is; `each` returns false to have no more.
///
/// # Errors
/// When a log cannot be read.
pub(crate) fn since(
    names: &[String],
    directory: &Path,
    since: &str,
    mut each: impl FnMut(Line) -> bool,
) -> io::Result<Vec<Follower>> {
    let open = |(log, name): (usize, &String)| Ahead::new(log, Reader::since(directory, name, since)?, since);
    let mut logs: Vec<Ahead> = names.iter().enumerate().map(open).collect::<io::Result<_>>()?;
    while let Some(next) = logs.iter_mut().filter(|log| log.next.is_some()).min_by(|a, b| a.time.cmp(&b.time))
    {
        if let Some(line) = next.take(since)?
            && !each(line)
        {
            break;
        }
    }
    Ok(logs.into_iter().map(|log| log.reader.into_follower()).collect())
}

/// Where the clock was set back, the lines before that have later times than those after: they count as written just before these.
fn in_written_order(mut lines: Vec<Line>) -> Vec<Line> {
    for index in (1..lines.len()).rev() {
        let (before, after) = lines.split_at_mut(index);
        if let (Some(earlier), Some(later)) = (before.last_mut(), after.first())
            && earlier.time > later.time
        {
            earlier.time.clone_from(&later.time);
        }
    }
    lines
}

/// All of them in the order of time. What is later than now was written before the clock was set back, and in a log that has said nothing
/// since; it comes first, where others have.
fn merged(logs: Vec<Vec<Line>>, now: &[u8]) -> Vec<Line> {
    let mut lines: Vec<Line> = logs.into_iter().flatten().collect();
    let is_to_come = |line: &Line| line.time.as_slice() > now;
    if lines.iter().any(|line| !line.time.is_empty() && !is_to_come(line)) {
        lines.iter_mut().filter(|line| is_to_come(line)).for_each(|line| line.time.clear());
    }
    lines.sort_by(|one, other| one.time.cmp(&other.time));
    lines
}

/// One log of several that are read side by side: its next line, and that line's time.
struct Ahead {
    log: usize,
    reader: Reader,
    next: Option<Vec<u8>>,
    time: Vec<u8>,
}

impl Ahead {
    fn new(log: usize, reader: Reader, since: &str) -> io::Result<Self> {
        let mut ahead = Self { log, reader, next: None, time: Vec::new() };
        ahead.advance(since)?;
        Ok(ahead)
    }

    /// The next line, and goes on.
    fn take(&mut self, since: &str) -> io::Result<Option<Line>> {
        let (log, time) = (self.log, self.time.clone());
        let line = self.next.take().map(|text| Line { time, log, text });
        self.advance(since)?;
        Ok(line)
    }

    /// To the next line that is not too old. As long as no line has a time, none is.
    fn advance(&mut self, since: &str) -> io::Result<()> {
        self.next = None;
        while let Some(text) = self.reader.next()? {
            if let Some(time) = timestamp::leading(&text) {
                self.time = time.to_vec();
            }
            if self.time.is_empty() || self.time.as_slice() >= since.as_bytes() {
                self.next = Some(text);
                break;
            }
        }
        Ok(())
    }
}

/// Lines with their times. One without a time belongs to the one before it; the first ones to the one after them.
pub(crate) fn timed(log: usize, lines: Vec<Vec<u8>>) -> Vec<Line> {
    let mut last = lines.iter().find_map(|line| timestamp::leading(line)).unwrap_or_default().to_vec();
    let with_time = |text: Vec<u8>| {
        if let Some(time) = timestamp::leading(&text) {
            last = time.to_vec();
        }
        Line { time: last.clone(), log, text }
    };
    lines.into_iter().map(with_time).collect()
}

pub(crate) fn poll(logs: &mut [Follower]) -> io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (index, log) in logs.iter_mut().enumerate() {
        lines.extend(timed(index, log.poll()?));
    }
    lines.sort_by(|one, other| one.time.cmp(&other.time));
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_from_before_the_clock_was_set_back_are_not_the_last_ones() {
        let line = |log, text: &str| timed(log, vec![text.as_bytes().to_vec()]).remove(0);
        let set_back = vec![line(0, "2026-11-21T12:00:00Z old"), line(0, "2026-11-21T10:00:00Z new")];
        let silent = vec![line(1, "2026-11-21T12:30:00Z silent")];
        let steady = vec![line(2, "2026-11-21T09:59:00Z steady")];
        let texts = |logs| -> Vec<String> {
            let lines: Vec<Line> = merged(logs, b"2026-11-21T10:01:00Z");
            lines
                .iter()
                .map(|line| String::from_utf8_lossy(&line.text).split(' ').next_back().unwrap().to_owned())
                .collect()
        };
        let logs = vec![in_written_order(set_back), in_written_order(silent), in_written_order(steady)];
        assert_eq!(texts(logs), ["silent", "steady", "old", "new"]);
    }
}
