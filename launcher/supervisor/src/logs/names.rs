//! The names of log files.
//!
//! `chat-server.log` is the current file; `chat-server.20261121T120307Z.000001.log` was rotated at that time, as the first one, and gets
//! `.gz` appended when it is compressed. Only files whose names have exactly this form are ours; others are ignored. The log of events ends
//! with `.jsonl`, so that no component's log has its name.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// The log of events, to which no component writes; its current file has the same name.
pub const EVENTS: &str = "events.jsonl";

/// Suffix of a compressed file.
const GZ: &str = ".gz";

/// Suffix of a file being compressed.
const GZ_TMP: &str = ".gz.tmp";

/// A rotated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotatedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whose log it is.
    pub component: String,
    /// When it was rotated, as in its name.
    pub stamp: String,
    /// Its number among the component's files; numbers only increase.
    pub sequence: u64,
    /// Plain or compressed.
    pub form: Form,
    /// Its size on disk.
    pub bytes: u64,
}

/// The form of a rotated file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text.
    Plain,
    /// Text in gzip.
    Compressed,
    /// Being compressed, or left by a launcher that was killed meanwhile.
    Unfinished,
}

/// The name of the current file.
pub fn live(component: &str) -> String {
    let (stem, ending) = parts_of(component);
    format!("{stem}.{ending}")
}

/// What stands before a file's time and number, and how its name ends.
fn parts_of(log: &str) -> (&str, &str) {
    if log == EVENTS { ("events", "jsonl") } else { (log, "log") }
}

/// The component of a current log file, by the file's name.
pub fn component_of(name: &str) -> Option<&str> {
    name.strip_suffix(".log").filter(|name| is_component(name))
}

/// The log whose current file has this name.
pub(super) fn log_of(name: &str) -> Option<&str> {
    component_of(name).or((name == EVENTS).then_some(EVENTS))
}

/// The name of a rotated file.
pub(super) fn aside(component: &str, stamp: &str, sequence: u64) -> String {
    let (stem, ending) = parts_of(component);
    format!("{stem}.{stamp}.{sequence:06}.{ending}")
}

/// The number for a component's next rotated file.
pub(super) fn next_sequence(directory: &Path, component: &str) -> u64 {
    let all = list(directory).unwrap_or_default();
    let last = all.iter().filter(|aside| aside.component == component).map(|aside| aside.sequence).max();
    last.map_or(1, |last| last + 1)
}

/// The number of a rotated file, by its name.
pub fn sequence_of(name: &str) -> Option<u64> {
    parse(name).map(|(_, _, sequence, _)| sequence)
}

/// Whether a rotated file exists, compressed or not.
pub(super) fn is_there(path: &Path) -> bool {
    path.exists() || compressed(path).1.exists()
}

/// The path of a file's compressed form while it is being written, and when it is complete.
pub(super) fn compressed(path: &Path) -> (PathBuf, PathBuf) {
    let with = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    (with(GZ_TMP), with(GZ))
}

/// The rotated files, in no order; also each of those that are being compressed meanwhile. One listing may miss such a file: its new name came
/// after that part of the directory was read, and the old one was gone before the other part was (`readdir(3)`). Of two, one has it, because
/// a file is compressed only once.
pub fn list(directory: &Path) -> io::Result<Vec<RotatedFile>> {
    let earlier = list_once(directory)?;
    let mut files = list_once(directory)?;
    let complete = files.iter().filter(|file| file.form != Form::Unfinished);
    let found: HashSet<_> = complete.map(|file| (file.component.clone(), file.sequence)).collect();
    for mut file in earlier {
        let is_missed = file.form == Form::Plain && !found.contains(&(file.component.clone(), file.sequence));
        let (_, finished) = compressed(&file.path);
        // Or it was deleted.
        if is_missed && let Ok(meta) = finished.metadata() {
            (file.path, file.form, file.bytes) = (finished, Form::Compressed, meta.len());
            files.push(file);
        }
    }
    Ok(files)
}

/// One listing, for whom nobody compresses meanwhile.
pub(super) fn list_once(directory: &Path) -> io::Result<Vec<RotatedFile>> {
    let mut rotated = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let Some((component, stamp, sequence, form)) = entry.file_name().to_str().and_then(parse) else {
            continue;
        };
        // A file may have been deleted in the meantime.
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_file() {
            rotated.push(RotatedFile {
                path: entry.path(),
                component,
                stamp,
                sequence,
                form,
                bytes: meta.len(),
            });
        }
    }
    Ok(rotated)
}

/// The size of the current files.
pub(super) fn live_bytes(directory: &Path) -> io::Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_str().and_then(log_of).is_some()
            && let Ok(meta) = entry.metadata()
        {
            total += meta.len();
        }
    }
    Ok(total)
}

/// Parses a name; `None` unless it has exactly our form.
fn parse(name: &str) -> Option<(String, String, u64, Form)> {
    let (name, form) = if let Some(name) = name.strip_suffix(GZ_TMP) {
        (name, Form::Unfinished)
    } else if let Some(name) = name.strip_suffix(GZ) {
        (name, Form::Compressed)
    } else {
        (name, Form::Plain)
    };
    let (name, ending) = name.rsplit_once('.')?;
    let mut parts = name.rsplitn(3, '.');
    let (sequence, stamp, stem) = (parts.next()?, parts.next()?, parts.next()?);
    let log = match ending {
        "log" => Some(stem).filter(|stem| is_component(stem)),
        _ => Some(EVENTS).filter(|events| parts_of(events) == (stem, ending)),
    }?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let stamped = stamp.len() == 16
        && stamp.is_ascii()
        && digits(&stamp[..8])
        && &stamp[8..9] == "T"
        && digits(&stamp[9..15])
        && stamp.ends_with('Z');
    let ours = stamped && digits(sequence) && sequence.len() >= 6;
    ours.then_some(())?;
    Some((log.to_owned(), stamp.to_owned(), sequence.parse().ok()?, form))
}

/// Whether a component may be called so: `web`, or as a replica `web.1`.
pub fn is_component(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let (base, number) = name.split_once('.').unwrap_or((name, "1"));
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    !base.is_empty() && base.bytes().all(legal) && !number.is_empty() && is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_are_not_ours() {
        let plain = aside("chat-server", "20261121T120307Z", 7);
        assert_eq!(plain, "chat-server.20261121T120307Z.000007.log");
        let parsed = |form| Some(("chat-server".to_owned(), "20261121T120307Z".to_owned(), 7, form));
        assert_eq!(parse(&plain), parsed(Form::Plain));
        assert_eq!(parse(&format!("{plain}.gz")), parsed(Form::Compressed));
        assert_eq!(parse(&format!("{plain}.gz.tmp")), parsed(Form::Unfinished));
        let replica = aside("web.12", "20261121T120307Z", 7);
        assert_eq!(parse(&replica).map(|(component, ..)| component).as_deref(), Some("web.12"));
        assert_eq!((component_of("web.1.log"), component_of("web.x.log")), (Some("web.1"), None));
        let events = aside(EVENTS, "20261121T120307Z", 12);
        assert_eq!(
            (events.as_str(), &*live(EVENTS)),
            ("events.20261121T120307Z.000012.jsonl", "events.jsonl")
        );
        assert_eq!(parse(&format!("{events}.gz")).unwrap().0, EVENTS);
        let logs = ["events.jsonl", "events.log", "chat.jsonl"].map(log_of);
        assert_eq!(logs, [Some(EVENTS), Some("events"), None]);
        for other in [
            "chat.20261121T120307Z.000007.jsonl",
            "chat-server.log",
            "chat.server.20261121T120307Z.000007.log",
            "chat.20261121T120307Z.7.log",
            "chat.20261121x120307Z.000007.log",
            "chat.20261121T120307Z.000007.log.bz2",
            "chat.20261121T120307Z.000007.log.gz.gz",
            "Chat.20261121T120307Z.000007.log",
            "ä.20261121T12030ßZ.000007.log",
            ".log",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_file_that_is_compressed_meanwhile_is_listed() {
        const FILES: u64 = 4000;
        let directory = tempfile::tempdir().unwrap();
        let path = |sequence| directory.path().join(aside("a", "20261121T120307Z", sequence));
        (1..=FILES).for_each(|sequence| std::fs::write(path(sequence), "text\n").unwrap());
        std::thread::scope(|scope| {
            let compressing = scope.spawn(|| {
                for sequence in 1..=FILES {
                    let (_, finished) = compressed(&path(sequence));
                    std::fs::write(&finished, "text").unwrap();
                    std::fs::remove_file(path(sequence)).unwrap();
                }
            });
            while !compressing.is_finished() {
                let files = list(directory.path()).unwrap();
                let found: HashSet<u64> = files.iter().map(|file| file.sequence).collect();
                assert_eq!(found.len(), usize::try_from(FILES).unwrap());
            }
        });
    }
}
