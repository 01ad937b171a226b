//! `launcher history`: prints the stored history without a server.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use kit::{Exit, Failure};
use protocol::UserName;

use super::database::History;
use super::entry::Entry;
use super::export::{Format, Writer};
use super::open::{OpenError, path};
use crate::options::no_name;

/// Selects the history and its part.
#[derive(Debug, Clone)]
pub struct HistoryOptions {
    /// The directory with the histories.
    pub directory: PathBuf,
    /// The user; may be missing if there is only one history.
    pub name: Option<String>,
    /// Only the conversation with this user.
    pub with: Option<String>,
    /// Only messages that contain this text, ignoring case.
    pub search: Option<String>,
    /// The output format.
    pub format: Format,
}

/// Writes a history to `out`, the oldest message first. Returns whether there was any message.
///
/// # Errors
/// When there is no such history, or it cannot be read or written out. A closed pipe is not an error.
pub fn print(options: &HistoryOptions, out: impl Write) -> Result<bool, Failure> {
    let file = file(options)?;
    let history = History::open_to_read(&file)?;
    let mut out = BufWriter::new(out);
    match write(&history, options, &mut out) {
        Err(Stop::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(true),
        Err(Stop::Io(error)) => Err(error.into()),
        Err(Stop::History(error)) => Err(OpenError::from_sqlite(&file, error).into()),
        Ok(any) => Ok(any),
    }
}

enum Stop {
    Io(std::io::Error),
    History(rusqlite::Error),
}

fn write(history: &History, options: &HistoryOptions, out: &mut impl Write) -> Result<bool, Stop> {
    let mut writer = Writer::start(options.format, out).map_err(Stop::Io)?;
    let needle = options.search.as_deref().map(str::to_lowercase);
    let matches =
        |entry: &Entry| needle.as_ref().is_none_or(|needle| entry.text.to_lowercase().contains(needle));
    let (mut result, mut any) = (Ok(()), false);
    history
        .each(options.with.as_deref(), false, |entry| {
            if matches(&entry) {
                result = writer.write(&entry);
                any = true;
            }
            result.is_ok()
        })
        .map_err(Stop::History)?;
    result.and_then(|()| writer.end()).map_err(Stop::Io)?;
    Ok(any)
}

fn file(options: &HistoryOptions) -> Result<PathBuf, Failure> {
    let nothing = |what: String| Failure::new(Exit::Failure, what);
    if let Some(name) = &options.name {
        let user = UserName::parse(name).map_err(|error| no_name(name, &error))?;
        let file = path(&options.directory, &user);
        if file.exists() {
            return Ok(file);
        }
        return Err(nothing(format!("no history of {user} in {}", options.directory.display())));
    }
    let mut files = kept(&options.directory);
    match (files.pop(), files.is_empty()) {
        (Some((_, file)), true) => Ok(file),
        (None, _) => Err(nothing(format!("no history in {}", options.directory.display()))),
        (Some((last, _)), false) => {
            let mut names: Vec<String> = files.into_iter().map(|(name, _)| name).collect();
            names.push(last);
            names.sort();
            let what = format!("several people chat from here; choose one with --name: {}", names.join(", "));
            Err(Failure::new(Exit::Usage, what))
        }
    }
}

fn kept(directory: &Path) -> Vec<(String, PathBuf)> {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    files
        .filter_map(|file| {
            let file_name = file.file_name().into_string().ok()?;
            let name = file_name.strip_prefix("chat_history_")?.strip_suffix(".db")?;
            Some((UserName::parse(name).ok()?.to_string(), file.path()))
        })
        .collect()
}
