//! `launcher logs`: what the components said, in the order of time, and what they say.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use kit::{Exit, Failure};

use super::completions::ComponentName;
use super::options::Where;
use super::output::{self, Colour, paint, tame};
use super::running;
use super::tail::Follower;
use super::timestamp;

/// How often files are looked at when they are followed; an eye sees no difference.
const LOOK: Duration = Duration::from_millis(100);

/// Its flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The components; without a name all of them, and the launcher
    #[arg(value_name = "COMPONENT")]
    #[arg(value_parser = ComponentName, hide_possible_values = true)]
    components: Vec<String>,
    /// Go on with what is written from now on
    #[arg(short, long)]
    follow: bool,
    /// How many lines to begin with
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    lines: usize,
}

/// One log.
struct Log {
    prefix: String,
    follower: Follower,
}

/// A line and its time, or that of the line before it.
struct Line {
    time: Vec<u8>,
    log: usize,
    text: Vec<u8>,
}

/// Prints the end of the logs, and follows them if so told.
pub(super) fn logs(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let directory = running::logs(place)?;
    let known = known(&directory)?;
    let names = chosen(args, &known, &directory)?;
    let (mut logs, mut lines) = open(&names, args.lines, &directory)?;
    let surplus = lines.len().saturating_sub(args.lines);
    let mut open = lines.drain(surplus..).all(|line| print(&logs, &line));
    drop(lines);
    while args.follow && open {
        std::thread::sleep(LOOK);
        if args.components.is_empty() {
            add_new(&mut logs, &directory)?;
        }
        open = poll(&mut logs)?.iter().all(|line| print(&logs, line));
    }
    Ok(Exit::Fine)
}

/// The names of the logs there are; what was put aside (`NAME.….log`) is not among them.
fn known(directory: &std::path::Path) -> Result<Vec<String>, Failure> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            let what = format!("the logs in {} cannot be read: {error}", directory.display());
            return Err(Failure::new(Exit::Failure, what));
        }
    };
    let files = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = files
        .filter_map(|file| file.strip_suffix(".log").filter(|name| !name.contains('.')).map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

fn chosen(args: &Args, known: &[String], directory: &std::path::Path) -> Result<Vec<String>, Failure> {
    if args.components.is_empty() {
        return Ok(known.to_vec());
    }
    if let Some(unknown) = args.components.iter().find(|name| !known.contains(name)) {
        let what = format!(
            "there is no log of '{unknown}' in {}; there are {}",
            directory.display(),
            known.join(", ")
        );
        return Err(Failure::new(Exit::Failure, what));
    }
    Ok(args.components.clone())
}

fn open(
    names: &[String],
    count: usize,
    directory: &std::path::Path,
) -> Result<(Vec<Log>, Vec<Line>), Failure> {
    let mut logs = Vec::new();
    let mut lines = Vec::new();
    for name in names {
        let (last, follower) = Follower::open(path(directory, name), count)?;
        lines.extend(timed(logs.len(), last));
        logs.push(Log { prefix: prefix(name, logs.len(), names), follower });
    }
    lines.sort_by(|one, other| one.time.cmp(&other.time));
    Ok((logs, lines))
}

fn path(directory: &std::path::Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.log"))
}

/// With one log alone, its name on each line would say nothing.
fn prefix(name: &str, index: usize, names: &[String]) -> String {
    if names.len() == 1 {
        return String::new();
    }
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let colour = Colour::DISTINCT[index % Colour::DISTINCT.len()];
    format!("{} ", paint(&format!("{name:<width$} |"), colour, output::is_coloured()))
}

/// A line without a time belongs to the one before it.
fn timed(log: usize, lines: Vec<Vec<u8>>) -> Vec<Line> {
    let mut last = Vec::new();
    let with_time = |text: Vec<u8>| {
        if let Some(time) = timestamp::leading(&text) {
            last = time.to_vec();
        }
        Line { time: last.clone(), log, text }
    };
    lines.into_iter().map(with_time).collect()
}

fn poll(logs: &mut [Log]) -> io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (index, log) in logs.iter_mut().enumerate() {
        lines.extend(timed(index, log.follower.poll()?));
    }
    lines.sort_by(|one, other| one.time.cmp(&other.time));
    Ok(lines)
}

/// A component that was started for the first time has a log that was not there before.
fn add_new(logs: &mut Vec<Log>, directory: &std::path::Path) -> Result<(), Failure> {
    let names = known(directory)?;
    for name in &names {
        let path = path(directory, name);
        if !logs.iter().any(|log| log.follower.path() == path) {
            logs.push(Log { prefix: prefix(name, logs.len(), &names), follower: Follower::awaiting(path) });
        }
    }
    Ok(())
}

fn print(logs: &[Log], line: &Line) -> bool {
    let text = String::from_utf8_lossy(&line.text);
    output::raw_line(format!("{}{}", logs[line.log].prefix, tame(&text)).as_bytes())
}
