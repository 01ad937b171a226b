//! Compression and deletion of rotated log files.
//!
//! Done on a thread of its own, which finds its work by listing the directory, so that it also completes what an earlier launcher left
//! undone. Deletion under the limits precedes compression: however fast files are rotated, the limits are exceeded only briefly.
//! Compression waits while a component floods its log, because it would take processor time from the writers: it begins once no file was
//! rotated for [`CALM`], or once uncompressed files take half of the total limit.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::journal;
use super::names::{self, Form, RotatedFile, compressed, list_once};
use crate::spec::LogPolicy;

/// Compression is interrupted after this time to enforce the limits.
const TURN: Duration = Duration::from_millis(200);

/// A flood has ended when no file was rotated for this long.
const CALM: Duration = Duration::from_millis(500);

/// During a flood the thread sleeps this many times as long as it worked.
const SPARING: u32 = 20;

/// The priority of the thread: nobody waits for it, and uncompressed files are limited as well.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// Wakes the thread. Cheap to clone; a pending wake-up is not repeated.
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

    /// Wakes the thread.
    pub(super) fn wake(&self, policy: LogPolicy) {
        // If the queue is full, a wake-up is pending, and the thread will list everything.
        let _ = self.0.try_send(policy);
    }
}

fn serve(directory: &Path, woken: &Receiver<LogPolicy>) {
    #[cfg(target_os = "linux")]
    {
        // On Linux the priority is that of the thread; elsewhere it would be that of the process.
        let _ = rustix::process::setpriority_process(None, NICE);
    }
    while let Ok(policy) = woken.recv() {
        if let Err(error) = tidy(directory, policy, woken) {
            tracing::warn!(%error, directory = %directory.display(), "cannot remove old logs; will retry");
        }
    }
}

/// Deletes the oldest files beyond the limits, and compresses the others.
fn tidy(directory: &Path, mut policy: LogPolicy, woken: &Receiver<LogPolicy>) -> io::Result<()> {
    for aside in list_once(directory)? {
        if aside.form == Form::Unfinished {
            std::fs::remove_file(&aside.path)?;
        }
    }
    let mut patience = CALM;
    loop {
        let looked = Instant::now();
        // First, so that a full disk has space for the compression.
        let mut plain = prune(directory, policy)?;
        plain.retain(|aside| aside.form == Form::Plain);
        let took = looked.elapsed();
        if plain.is_empty() {
            return Ok(());
        }
        if plain.iter().map(|aside| aside.bytes).sum::<u64>() <= policy.max_total / 2 {
            match woken.recv_timeout(patience) {
                Ok(newer) => {
                    (policy, patience) = (newer, CALM);
                    // With a flood of small files and a high limit the thread would otherwise list them all the time.
                    std::thread::sleep((took * SPARING).min(TURN));
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => patience = Duration::ZERO,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
        let (begin, mut failure) = (Instant::now(), Ok(()));
        for aside in plain {
            // A file that cannot be compressed must not prevent the others from it.
            failure = failure.and(compress(&aside.path));
            if begin.elapsed() > TURN {
                break;
            }
        }
        failure?;
    }
}

/// Deletes files beyond the limits, and returns the others, oldest first.
fn prune(directory: &Path, policy: LogPolicy) -> io::Result<Vec<RotatedFile>> {
    let mut by_component: BTreeMap<String, Vec<RotatedFile>> = BTreeMap::new();
    for aside in list_once(directory)? {
        by_component.entry(aside.component.clone()).or_default().push(aside);
    }
    let mut kept = Vec::new();
    for (_, mut rotated) in by_component {
        rotated.sort_by_key(|aside| aside.sequence);
        let spare = rotated.len().saturating_sub(policy.max_files);
        for aside in rotated.drain(..spare) {
            remove_aside(directory, &aside)?;
        }
        kept.extend(rotated);
    }
    kept.sort_by(|a, b| (&a.stamp, a.sequence).cmp(&(&b.stamp, b.sequence)));
    let mut total = names::live_bytes(directory)? + kept.iter().map(|aside| aside.bytes).sum::<u64>();
    let mut spare = 0;
    while total > policy.max_total && spare < kept.len() {
        remove_aside(directory, &kept[spare])?;
        total -= kept[spare].bytes;
        spare += 1;
    }
    Ok(kept.split_off(spare))
}

/// Deletes a rotated file with its journal and those of all earlier files, so that they do not count as missing.
fn remove_aside(directory: &Path, aside: &RotatedFile) -> io::Result<()> {
    for (component, sequence) in journal::list(directory)? {
        if component == aside.component && sequence.is_some_and(|sequence| sequence <= aside.sequence) {
            remove(&journal::path(directory, &component, sequence))?;
        }
    }
    remove(&aside.path)
}

/// Replaces a file by its compressed form; at every moment one of the two is complete. A missing file is not an error.
fn compress(path: &Path) -> io::Result<()> {
    let (unfinished, finished) = compressed(path);
    let source = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if let Err(error) = write_compressed(source, &unfinished) {
        let _ = std::fs::remove_file(&unfinished);
        return Err(error);
    }
    // The name of the compressed file must be durable before the original is deleted.
    kit::durable::rename(&unfinished, &finished)?;
    remove(path)
}

fn write_compressed(from: File, to: &Path) -> io::Result<()> {
    let mut source = BufReader::with_capacity(64 * 1024, from);
    let file = kit::files::open(to, OpenOptions::new().write(true).create(true).truncate(true))?;
    let mut encoder = GzEncoder::new(BufWriter::new(file), Compression::fast());
    io::copy(&mut source, &mut encoder)?;
    encoder.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn files(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn old_files_are_compressed_and_the_oldest_removed() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        for i in 1..=5 {
            write(&names::aside("chat", "20261121T120307Z", i), &format!("chat {i}\n"));
        }
        write(&names::aside("chat-ws", "20260101T000000Z", 1), "another's\n");
        write("chat.20261121T120307Z.000009.log.gz.tmp", "half");
        write("chat.log", "live\n");
        write("notes.txt", "not ours\n");
        let policy = LogPolicy { max_bytes: 1, max_files: 2, max_total: 1 << 20, ..LogPolicy::default() };
        let (wake, woken) = sync_channel(1);
        tidy(dir.path(), policy, &woken).unwrap();
        let expected = [
            "chat-ws.20260101T000000Z.000001.log.gz",
            "chat.20261121T120307Z.000004.log.gz",
            "chat.20261121T120307Z.000005.log.gz",
            "chat.log",
            "notes.txt",
        ];
        assert_eq!(files(dir.path()), expected);
        let mut text = String::new();
        let file = File::open(dir.path().join(expected[2])).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "others must not read it");
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "chat 5\n");
        assert_eq!(names::next_sequence(dir.path(), "chat"), 6);
        tidy(dir.path(), LogPolicy { max_total: 0, ..policy }, &woken).unwrap();
        assert_eq!(files(dir.path()), ["chat.log", "notes.txt"], "what is live stays");
        drop(wake);
    }

    #[test]
    fn nothing_is_compressed_while_a_flood_goes_on_unless_the_room_gets_scarce() {
        let dir = tempfile::tempdir().unwrap();
        let put_aside = |sequence| {
            let name = names::aside("chat", "20261121T120307Z", sequence);
            std::fs::write(dir.path().join(&name), vec![b'x'; 1000]).unwrap();
            name
        };
        let compressed = || files(dir.path()).iter().filter(|name| name.ends_with(".gz")).count();
        let policy = LogPolicy { max_files: 100, max_total: 10_000, ..LogPolicy::default() };
        let (wake, woken) = sync_channel(1);
        let directory = dir.path();
        std::thread::scope(|scope| {
            put_aside(1);
            let tidy = scope.spawn(move || tidy(directory, policy, &woken));
            // Each wake-up is received after the previous pass, so nothing is compressed until the last.
            for sequence in 2..=5 {
                put_aside(sequence);
                wake.send(policy).unwrap();
            }
            assert_eq!(compressed(), 0);
            (6..=8).for_each(|sequence| drop(put_aside(sequence)));
            // It may already have listed the files and finished.
            let _ = wake.send(policy);
            let begin = Instant::now();
            while compressed() == 0 {
                assert!(begin.elapsed() < Duration::from_secs(10), "the room is scarce");
                std::thread::yield_now();
            }
            tidy.join().unwrap().unwrap();
        });
        assert_eq!(compressed(), 8);
    }
}
