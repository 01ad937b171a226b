//! Log files put aside: their names, their compression, and how many are kept.
//!
//! The work is done on a thread of its own, and found by looking into the directory: what a launcher that died left undone the
//! next one does. Only files whose names have exactly our form are ever touched.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::supervisor::spec::LogPolicy;

/// Ends the name of a compressed file.
const GZ: &str = ".gz";

/// Ends the name of a file that is being compressed.
const GZ_TMP: &str = ".gz.tmp";

/// Wakes the thread. Cheap to clone; waking it while it is already due does nothing more.
#[derive(Debug, Clone)]
pub(super) struct Archiver(SyncSender<LogPolicy>);

impl Archiver {
    /// Starts the thread for a directory. It ends when the last handle is dropped.
    pub(super) fn start(directory: &Path) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let directory = directory.to_owned();
        std::thread::Builder::new()
            .name("log-archive".to_owned())
            .spawn(move || serve(&directory, &woken))?;
        Ok(Self(wake))
    }

    /// There is something to do.
    pub(super) fn wake(&self, policy: LogPolicy) {
        // Full: it looks at everything when it comes round, so it misses nothing.
        let _ = self.0.try_send(policy);
    }
}

/// The name of a file put aside: `chat-server.20261121T120307Z.000001.log`.
pub(super) fn name(component: &str, stamp: &str, sequence: u64) -> String {
    format!("{component}.{stamp}.{sequence:06}.log")
}

/// The number for a component's next file.
pub(super) fn next_sequence(directory: &Path, component: &str) -> u64 {
    let all = list(directory).unwrap_or_default();
    let last = all.iter().filter(|aside| aside.component == component).map(|aside| aside.sequence).max();
    last.map_or(1, |last| last + 1)
}

/// A file put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Aside {
    path: PathBuf,
    component: String,
    stamp: String,
    sequence: u64,
    form: Form,
    bytes: u64,
}

/// What has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Compressed,
    /// Being compressed, or left by a launcher that died doing so.
    Unfinished,
}

fn serve(directory: &Path, woken: &Receiver<LogPolicy>) {
    while let Ok(policy) = woken.recv() {
        if let Err(error) = tidy(directory, policy) {
            tracing::warn!(%error, directory = %directory.display(), "old logs cannot be tidied up; trying again later");
        }
    }
}

/// Compresses what is not, and removes the oldest of what is too much.
fn tidy(directory: &Path, policy: LogPolicy) -> io::Result<()> {
    for aside in list(directory)? {
        if aside.form == Form::Unfinished {
            std::fs::remove_file(&aside.path)?;
        }
    }
    // First, so that a full disk has room for the compression.
    prune(directory, policy)?;
    for aside in list(directory)? {
        if aside.form == Form::Plain {
            compress(&aside.path)?;
        }
    }
    prune(directory, policy)
}

fn prune(directory: &Path, policy: LogPolicy) -> io::Result<()> {
    let mut by_component: BTreeMap<String, Vec<Aside>> = BTreeMap::new();
    for aside in list(directory)? {
        by_component.entry(aside.component.clone()).or_default().push(aside);
    }
    let mut kept = Vec::new();
    for (_, mut asides) in by_component {
        asides.sort_by_key(|aside| aside.sequence);
        let spare = asides.len().saturating_sub(policy.max_files);
        for aside in asides.drain(..spare) {
            remove(&aside.path)?;
        }
        kept.extend(asides);
    }
    kept.sort_by(|a, b| (&a.stamp, a.sequence).cmp(&(&b.stamp, b.sequence)));
    let mut total = live_bytes(directory)? + kept.iter().map(|aside| aside.bytes).sum::<u64>();
    for aside in kept {
        if total <= policy.max_total {
            break;
        }
        remove(&aside.path)?;
        total -= aside.bytes;
    }
    Ok(())
}

/// Replaces a file by its compressed form; at every moment one of the two is whole.
fn compress(path: &Path) -> io::Result<()> {
    let (unfinished, finished) = (with_ending(path, GZ_TMP), with_ending(path, GZ));
    let result = write_compressed(path, &unfinished);
    if result.is_err() {
        let _ = std::fs::remove_file(&unfinished);
        return result;
    }
    std::fs::rename(&unfinished, &finished)?;
    remove(path)
}

fn write_compressed(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = match File::open(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(error),
        other => BufReader::with_capacity(64 * 1024, other?),
    };
    let mut encoder = GzEncoder::new(BufWriter::new(File::create(to)?), Compression::fast());
    io::copy(&mut source, &mut encoder)?;
    encoder.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The bytes of the files being written, which count but stay.
fn live_bytes(directory: &Path) -> io::Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let live = name.to_str().and_then(|name| name.strip_suffix(".log")).is_some_and(is_component);
        if live && let Ok(meta) = entry.metadata() {
            total += meta.len();
        }
    }
    Ok(total)
}

fn list(directory: &Path) -> io::Result<Vec<Aside>> {
    let mut asides = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let Some((component, stamp, sequence, form)) = entry.file_name().to_str().and_then(parse) else {
            continue;
        };
        // One that has gone in the meantime is not there.
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_file() {
            asides.push(Aside { path: entry.path(), component, stamp, sequence, form, bytes: meta.len() });
        }
    }
    Ok(asides)
}

/// Takes a name apart; none if it has not exactly our form.
fn parse(name: &str) -> Option<(String, String, u64, Form)> {
    let (name, form) = if let Some(name) = name.strip_suffix(GZ_TMP) {
        (name, Form::Unfinished)
    } else if let Some(name) = name.strip_suffix(GZ) {
        (name, Form::Compressed)
    } else {
        (name, Form::Plain)
    };
    let mut parts = name.strip_suffix(".log")?.split('.');
    let (component, stamp, sequence) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let stamped = stamp.len() == 16
        && stamp.is_ascii()
        && digits(&stamp[..8])
        && &stamp[8..9] == "T"
        && digits(&stamp[9..15])
        && stamp.ends_with('Z');
    let ours = is_component(component)
        && stamped
        && digits(sequence)
        && sequence.len() >= 6
        && parts.next().is_none();
    ours.then_some(())?;
    Some((component.to_owned(), stamp.to_owned(), sequence.parse().ok()?, form))
}

fn is_component(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn names_are_read_back_and_others_are_not_ours() {
        let plain = name("chat-server", "20261121T120307Z", 7);
        assert_eq!(plain, "chat-server.20261121T120307Z.000007.log");
        let parsed = |form| Some(("chat-server".to_owned(), "20261121T120307Z".to_owned(), 7, form));
        assert_eq!(parse(&plain), parsed(Form::Plain));
        assert_eq!(parse(&format!("{plain}.gz")), parsed(Form::Compressed));
        assert_eq!(parse(&format!("{plain}.gz.tmp")), parsed(Form::Unfinished));
        for other in [
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
    fn old_files_are_compressed_and_the_oldest_removed() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        for i in 1..=5 {
            write(&name("chat", "20261121T120307Z", i), &format!("chat {i}\n"));
        }
        write(&name("chat-ws", "20260101T000000Z", 1), "another's\n");
        write("chat.20261121T120307Z.000009.log.gz.tmp", "half");
        write("chat.log", "live\n");
        write("notes.txt", "not ours\n");
        let policy = LogPolicy { max_bytes: 1, max_files: 2, max_total: 1 << 20 };
        tidy(dir.path(), policy).unwrap();
        let mut names: Vec<String> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let expected = [
            "chat-ws.20260101T000000Z.000001.log.gz",
            "chat.20261121T120307Z.000004.log.gz",
            "chat.20261121T120307Z.000005.log.gz",
            "chat.log",
            "notes.txt",
        ];
        assert_eq!(names, expected);
        let mut text = String::new();
        let file = File::open(dir.path().join(expected[2])).unwrap();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "chat 5\n");
        assert_eq!(next_sequence(dir.path(), "chat"), 6);
        tidy(dir.path(), LogPolicy { max_total: 0, ..policy }).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "what is live stays");
    }
}
