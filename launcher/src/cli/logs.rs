//! `launcher logs`: prints the components' logs in chronological order, and follows them.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use kit::{Exit, Failure};

use super::component_name::ComponentName;
use super::options::Where;
use super::output::{self, Colour, paint};
use super::running;
use super::verify_logs;
use crate::log_reader::{Follower, Line, last, poll, since, timed, timestamp};

/// The polling interval when following.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The default number of lines.
const LINES: usize = 50;
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

/// The names of existing logs.
fn known(directory: &Path) -> Result<Vec<String>, Failure> {
    crate::log_reader::known(directory).map_err(|error| {
        let what = format!("cannot read the logs in {}: {error}", directory.display());
        Failure::new(Exit::Failure, what)
    })
}

/// Prints the requested part of the existing lines.
fn begin(
    printer: &mut Printer,
    names: &[String],
    directory: &Path,
    args: &Args,
) -> Result<Vec<Follower>, Failure> {
    let count = args.lines.or(args.since.is_none().then_some(LINES));
    let (mut rest, mut logs) = match &args.since {
        Some(time) => since_then(printer, names, directory, time, count)?,
        None => {
            let (lines, logs) = last(names, directory, count.unwrap_or(LINES))?;
            (lines.into(), logs)
        }
    };
    if !args.follow {
        // A prompt has no newline; followers print it after a while.
        for (log, follower) in logs.iter_mut().enumerate() {
            rest.extend(timed(log, follower.take_partial().into_iter().collect()));
        }
    }
    let surplus = count.map_or(0, |count| rest.len().saturating_sub(count));
    rest.iter().skip(surplus).for_each(|line| printer.print(line));
    Ok(logs)
}

/// The last lines since a time, and the followers that continue; without a count all are printed at once.
fn since_then(
    printer: &mut Printer,
    names: &[String],
    directory: &Path,
    time: &str,
    count: Option<usize>,
) -> Result<(VecDeque<Line>, Vec<Follower>), Failure> {
    let mut last = VecDeque::new();
    let logs = since(names, directory, time, |line| {
        match count {
            None => printer.print(&line),
            Some(count) => {
                last.push_back(line);
                if last.len() > count {
                    last.pop_front();
                }
            }
        }
        true
    })?;
    Ok((last, logs))
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
