//! `launcher logs`: prints the components' logs in chronological order, and follows them.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Duration;

use kit::{Exit, Failure};

use super::completions::ComponentName;
use super::log_reader::{self, Reader};
use super::options::Where;
use super::output::{self, Colour, paint};
use super::running;
use super::tail::Follower;
use super::timestamp;
use super::verify_logs;
use crate::supervisor::clock;
use crate::supervisor::logs::names;

/// The polling interval when following.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The default number of lines.
const LINES: usize = 50;
/// Additional lines that are read to find the time of the first ones.
const CONTEXT: usize = 50;
/// The size of a write.
const BATCH: usize = 64 * 1024;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only these components, groups or programs with replicas [default: all, and the launcher]
    #[arg(value_name = "COMPONENT")]
    #[arg(value_parser = ComponentName, hide_possible_values = true)]
    components: Vec<String>,
    /// Keep printing new lines as they are written
    #[arg(short, long, conflicts_with = "verify")]
    follow: bool,
    /// How many of the last lines to print [default: 50, or all with --since]
    #[arg(short = 'n', long, value_name = "N", conflicts_with = "verify")]
    lines: Option<usize>,
    /// Only lines since then: an age (10m, 2h) or a time (2026-11-20T23:21:22Z)
    #[arg(long, value_name = "TIME", value_parser = timestamp::since, conflicts_with = "verify")]
    since: Option<String>,
    /// Verify the logs against their checksums and report what is missing or changed
    #[arg(long)]
    verify: bool,
}

/// A line and its time, or that of the line before it.
struct Line {
    time: Vec<u8>,
    log: usize,
    text: Vec<u8>,
}

/// Prints the end of the logs, and follows them if requested.
pub(super) fn logs(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let directory = running::logs(place)?;
    let wanted =
        if args.components.is_empty() { Vec::new() } else { running::expanded(place, &args.components) };
    if args.verify {
        return verify_logs::verify(&directory, &wanted);
    }
    let names = chosen(place, wanted, &known(&directory)?, &directory)?;
    let mut printer = Printer::new(&names);
    let mut logs = begin(&mut printer, &names, &directory, args)?;
    let mut open = printer.flush();
    while args.follow && open {
        std::thread::sleep(POLL_INTERVAL);
        if args.components.is_empty() {
            add_new(&mut logs, &mut printer, &directory)?;
        }
        poll(&mut logs)?.iter().for_each(|line| printer.print(line));
        open = printer.flush();
    }
    Ok(Exit::Fine)
}

/// The names of existing logs, without rotated files (`NAME.….log`).
fn known(directory: &Path) -> Result<Vec<String>, Failure> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            let what = format!("cannot read the logs in {}: {error}", directory.display());
            return Err(Failure::new(Exit::Failure, what));
        }
    };
    let files = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut known: Vec<String> =
        files.filter_map(|file| names::component_of(&file).map(str::to_owned)).collect();
    known.sort();
    Ok(known)
}

/// A component that has said nothing yet has no log, and may get one.
fn chosen(
    place: &Where,
    wanted: Vec<String>,
    known: &[String],
    directory: &Path,
) -> Result<Vec<String>, Failure> {
    if wanted.is_empty() {
        return Ok(known.to_vec());
    }
    let (silent, unknown): (Vec<&String>, Vec<&String>) = wanted
        .iter()
        .filter(|name| !known.contains(name))
        .partition(|name| running::is_component(place, name));
    for name in silent {
        output::error(&format!("{name} has logged nothing yet"));
    }
    if let Some(unknown) = unknown.first() {
        let what =
            format!("no log of '{unknown}' in {}; available: {}", directory.display(), known.join(", "));
        return Err(Failure::new(Exit::Failure, what));
    }
    Ok(wanted)
}

/// Prints the requested part of the existing lines.
fn begin(
    printer: &mut Printer,
    names: &[String],
    directory: &Path,
    args: &Args,
) -> Result<Vec<Follower>, Failure> {
    let count = args.lines.or(args.since.is_none().then_some(LINES));
    let (mut last, mut logs) = match &args.since {
        Some(since) => since_then(printer, names, directory, since, count)?,
        None => last_lines(names, directory, count.unwrap_or(LINES))?,
    };
    if !args.follow {
        // A prompt has no newline; followers print it after a while.
        for (log, follower) in logs.iter_mut().enumerate() {
            last.extend(timed(log, follower.take_partial().into_iter().collect()));
        }
    }
    let surplus = count.map_or(0, |count| last.len().saturating_sub(count));
    last.iter().skip(surplus).for_each(|line| printer.print(line));
    Ok(logs)
}

/// At least the last lines of all logs together, and the followers that continue.
fn last_lines(
    names: &[String],
    directory: &Path,
    count: usize,
) -> Result<(VecDeque<Line>, Vec<Follower>), Failure> {
    let mut followers = Vec::new();
    let mut lines = Vec::new();
    for name in names {
        let (last, follower) = log_reader::last(directory, name, count.saturating_add(CONTEXT))?;
        lines.push(in_written_order(timed(followers.len(), last)));
        followers.push(follower);
    }
    Ok((merged(lines, clock::rfc3339().as_bytes()).into(), followers))
}

/// If the clock was set back, the lines before that have later times than those after it: they are sorted just before these.
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

/// All lines in chronological order. Lines with a time in the future were written before the clock was set back, in a log without output
/// since; they come first.
fn merged(logs: Vec<Vec<Line>>, now: &[u8]) -> Vec<Line> {
    let mut lines: Vec<Line> = logs.into_iter().flatten().collect();
    let is_to_come = |line: &Line| line.time.as_slice() > now;
    if lines.iter().any(|line| !line.time.is_empty() && !is_to_come(line)) {
        lines.iter_mut().filter(|line| is_to_come(line)).for_each(|line| line.time.clear());
    }
    lines.sort_by(|one, other| one.time.cmp(&other.time));
    lines
}

/// The last lines since a time, and the followers that continue; without a count all are printed at once. The logs are merged while
/// reading, because there may be any number of lines.
fn since_then(
    printer: &mut Printer,
    names: &[String],
    directory: &Path,
    since: &str,
    count: Option<usize>,
) -> Result<(VecDeque<Line>, Vec<Follower>), Failure> {
    let open = |(log, name): (usize, &String)| Ahead::new(log, Reader::since(directory, name, since)?, since);
    let mut logs: Vec<Ahead> = names.iter().enumerate().map(open).collect::<io::Result<_>>()?;
    let mut last = VecDeque::new();
    while let Some(next) = logs.iter_mut().filter(|log| log.next.is_some()).min_by(|a, b| a.time.cmp(&b.time))
    {
        let Some(line) = next.take(since)? else { continue };
        match count {
            None => printer.print(&line),
            Some(count) => {
                last.push_back(line);
                if last.len() > count {
                    last.pop_front();
                }
            }
        }
    }
    Ok((last, logs.into_iter().map(|log| log.reader.into_follower()).collect()))
}

/// One of several logs being merged: its next line, and that line's time.
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

    /// Returns the next line and advances.
    fn take(&mut self, since: &str) -> io::Result<Option<Line>> {
        let (log, time) = (self.log, self.time.clone());
        let line = self.next.take().map(|text| Line { time, log, text });
        self.advance(since)?;
        Ok(line)
    }

    /// Skips lines that are too old. Lines before the first time are not skipped.
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

/// A line without a time has that of the line before it; the first ones have that of the line after them.
fn timed(log: usize, lines: Vec<Vec<u8>>) -> Vec<Line> {
    let mut last = lines.iter().find_map(|line| timestamp::leading(line)).unwrap_or_default().to_vec();
    let with_time = |text: Vec<u8>| {
        if let Some(time) = timestamp::leading(&text) {
            last = time.to_vec();
        }
        Line { time: last.clone(), log, text }
    };
    lines.into_iter().map(with_time).collect()
}

fn poll(logs: &mut [Follower]) -> io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (index, log) in logs.iter_mut().enumerate() {
        lines.extend(timed(index, log.poll()?));
    }
    lines.sort_by(|one, other| one.time.cmp(&other.time));
    Ok(lines)
}

/// A component started for the first time creates a new log.
fn add_new(logs: &mut Vec<Follower>, printer: &mut Printer, directory: &Path) -> Result<(), Failure> {
    let names = known(directory)?;
    for name in &names {
        if !logs.iter().any(|log| log.component() == name) {
            printer.prefixes.push(prefix(name, logs.len(), &names));
            logs.push(Follower::awaiting(directory, name)?);
        }
    }
    Ok(())
}

/// With a single log the name on each line is omitted.
fn prefix(name: &str, index: usize, names: &[String]) -> String {
    if names.len() == 1 {
        return String::new();
    }
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let colour = Colour::DISTINCT[index % Colour::DISTINCT.len()];
    format!("{} ", paint(&format!("{name:<width$} |"), colour, output::is_coloured()))
}

/// Prints lines, buffered.
struct Printer {
    prefixes: Vec<String>,
    out: Vec<u8>,
    /// The pipe is open.
    open: bool,
}

impl Printer {
    fn new(names: &[String]) -> Self {
        let prefixes = names.iter().enumerate().map(|(index, name)| prefix(name, index, names)).collect();
        Self { prefixes, out: Vec::new(), open: true }
    }

    fn print(&mut self, line: &Line) {
        let text = String::from_utf8_lossy(&line.text);
        let text = output::sanitise(&output::without_colour(text.trim_end_matches('\r')));
        self.out.extend_from_slice(self.prefixes[line.log].as_bytes());
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'\n');
        if self.out.len() > BATCH {
            self.flush();
        }
    }

    /// Whether the pipe is still open.
    fn flush(&mut self) -> bool {
        self.open = self.open && (self.out.is_empty() || output::raw(&self.out));
        self.out.clear();
        self.open
    }
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

    #[test]
    fn logs_are_merged_by_time_and_begin_where_they_should() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write(
            "a.20261121T100200Z.000001.log",
            "2026-11-21T10:00:00Z a1\n2026-11-21T10:01:30Z a2\n  more of a2\n",
        );
        write("a.log", "2026-11-21T10:03:00Z a3\n");
        write("b.log", "b0\n{\"time\":\"2026-11-21T10:02:00Z\",\"line\":\"b1\"}\n");
        let names = ["a".to_owned(), "b".to_owned()];
        let printed = |since: Option<&str>, lines| {
            let mut printer = Printer::new(&names);
            let since = since.map(str::to_owned);
            let args = Args { components: Vec::new(), follow: false, lines, since, verify: false };
            begin(&mut printer, &names, directory.path(), &args).unwrap();
            let text = String::from_utf8(printer.out).unwrap();
            text.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let b1 = "{\"time\":\"2026-11-21T10:02:00Z\",\"line\":\"b1\"}";
        assert_eq!(printed(None, Some(9)), ["a1", "a2", "a2", "b0", b1, "a3"]);
        assert_eq!(printed(None, Some(2)), [b1, "a3"]);
        assert_eq!(printed(Some("2026-11-21T10:01:00"), None), ["b0", "a2", "a2", b1, "a3"]);
        assert_eq!(printed(Some("2026-11-21T10:01:00"), Some(1)), ["a3"]);
        assert_eq!(printed(Some("2026-11-21T11"), None), ["b0"]);

        write("a.log", "2026-11-21T10:03:00Z a3\nname?");
        assert_eq!(printed(None, Some(2)), ["a3", "name?"], "what has no end is a line, too");
        assert_eq!(printed(Some("2026-11-21T10:01:00"), Some(2)), ["a3", "name?"]);
    }
}
