//! Tests of what is reported, and what is not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::file::LogFile;
use super::*;
use crate::spec::LogPolicy;

/// A log of several files in a directory of its own.
struct Bench {
    dir: tempfile::TempDir,
    log: LogFile,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        Self { dir, log, now: Instant::now() }
    }

    /// About 16 KiB per hundred lines; files are rotated at 50,000 bytes.
    fn lines(&mut self, count: usize) {
        for i in 0..count {
            self.log.write(self.now, 1, format!("line {i} {}\n", "x".repeat(150)).as_bytes());
        }
        self.tick();
    }

    fn tick(&mut self) {
        self.now += Duration::from_secs(1);
        self.log.tick(self.now);
    }

    fn verify(&self) -> Verdict {
        verify(self.dir.path(), "chat").unwrap()
    }

    /// The rotated files, oldest first, and the current one.
    fn files(&self) -> Vec<PathBuf> {
        let mut rotated = names::list(self.dir.path()).unwrap();
        rotated.sort_by_key(|aside| aside.sequence);
        rotated.into_iter().map(|aside| aside.path).chain([self.dir.path().join("chat.log")]).collect()
    }

    /// The errors, each with the index of its file.
    fn flaws(&self, files: &[PathBuf]) -> Vec<(Option<usize>, String)> {
        let place = |path: &PathBuf| files.iter().position(|file| file == path);
        self.verify().flaws.into_iter().map(|(path, what)| (place(&path), what)).collect()
    }
}

fn log(dir: &Path) -> LogFile {
    let policy = LogPolicy { max_bytes: 50_000, ..LogPolicy::default() };
    LogFile::new(dir, "chat", policy, Arc::default(), None)
}

#[test]
fn a_log_as_it_was_written_is_proven_also_by_a_later_launcher() {
    let mut bench = Bench::new();
    bench.lines(1000);
    let verdict = bench.verify();
    assert_eq!((verdict.files, verdict.lines), (4, 1000));
    assert!(
        verdict.flaws.is_empty() && verdict.lost.is_empty() && verdict.unproven.is_empty(),
        "{verdict:?}"
    );
    bench.log = log(bench.dir.path());
    bench.lines(500);
    let later = bench.verify();
    assert_eq!((later.files, later.lines), (5, 1500));
    assert!(later.flaws.is_empty() && later.unproven.is_empty(), "{later:?}");
    assert_eq!(later.bytes, bench.files().iter().map(|path| path.metadata().unwrap().len()).sum::<u64>());
}

#[test]
fn a_changed_byte_is_named_with_its_file_and_place() {
    let mut bench = Bench::new();
    bench.lines(1000);
    let files = bench.files();
    let mut bytes = std::fs::read(&files[1]).unwrap();
    bytes[10_000] ^= 1;
    std::fs::write(&files[1], bytes).unwrap();
    let flaws = bench.flaws(&files);
    let expected = "bytes 8192 to 12288 (lines 52 to 77) are not what was written";
    assert_eq!(flaws, [(Some(1), expected.to_owned())]);
}

#[test]
fn a_cut_and_a_missing_file_are_named_with_what_is_missing() {
    let mut bench = Bench::new();
    bench.lines(1000);
    let files = bench.files();
    let lines = |path: &PathBuf| std::fs::read(path).unwrap().iter().filter(|byte| **byte == b'\n').count();
    let (of_first, of_third) = (lines(&files[0]), lines(&files[2]));
    std::fs::remove_file(&files[0]).unwrap();
    std::fs::OpenOptions::new().write(true).open(&files[2]).unwrap().set_len(16_100).unwrap();
    let flaws = bench.flaws(&files);
    assert_eq!(flaws.len(), 2, "{flaws:?}");
    assert!(flaws[0].1.starts_with(&format!("is missing, with {of_first} lines, 4")), "{flaws:?}");
    assert_eq!(flaws[0].0, Some(0));
    let (place, what) = &flaws[1];
    assert!(what.starts_with("ends at byte 16100: ") && *place == Some(2), "{flaws:?}");
    assert!(what.contains(&format!("{} lines, ", of_third - lines(&files[2]))), "{flaws:?}");
}

#[test]
fn a_compressed_file_is_read_through_and_damage_to_it_is_found() {
    let mut bench = Bench::new();
    bench.lines(1000);
    let plain = bench.files().remove(0);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::Write::write_all(&mut encoder, &std::fs::read(&plain).unwrap()).unwrap();
    let mut gz = encoder.finish().unwrap();
    std::fs::remove_file(&plain).unwrap();
    let path = PathBuf::from(format!("{}.gz", plain.display()));
    std::fs::write(&path, &gz).unwrap();
    assert_eq!(bench.verify().flaws, []);
    gz.truncate(gz.len() / 2);
    std::fs::write(&path, &gz).unwrap();
    let flaws = bench.verify().flaws;
    assert!(flaws.len() == 1 && flaws[0].0 == path && flaws[0].1.contains("bytes are missing"), "{flaws:?}");
}

#[test]
fn what_was_lost_and_counted_is_no_flaw() {
    let mut bench = Bench::new();
    bench.lines(1000);
    bench.log.write(bench.now, 1, b"one\ntwo\n");
    std::fs::remove_file(bench.dir.path().join("chat.log")).unwrap();
    bench.tick();
    bench.log.write(bench.now, 1, b"three\n");
    bench.tick();
    let verdict = bench.verify();
    assert_eq!(verdict.flaws, []);
    let [lost] = verdict.lost.as_slice() else { panic!("{verdict:?}") };
    assert_eq!((lost.lines + verdict.lines, lost.cause.as_str()), (1000 + 3 + 1, "the file was deleted"));
    // A later loss is separate, and both survive the launcher.
    std::fs::OpenOptions::new()
        .write(true)
        .open(bench.dir.path().join("chat.log"))
        .unwrap()
        .set_len(0)
        .unwrap();
    bench.tick();
    bench.log = log(bench.dir.path());
    bench.lines(1);
    let verdict = bench.verify();
    assert_eq!((verdict.flaws.len(), verdict.lost.len()), (0, 2), "{verdict:?}");
}

#[test]
fn what_happens_while_no_launcher_runs_is_found_by_verify_and_counted_by_the_next() {
    let mut bench = Bench::new();
    bench.lines(100);
    let live = bench.dir.path().join("chat.log");
    std::fs::remove_file(&live).unwrap();
    assert_eq!(bench.verify().flaws.len(), 1);
    bench.log = log(bench.dir.path());
    bench.lines(10);
    let verdict = bench.verify();
    assert_eq!((verdict.flaws.len(), verdict.lost[0].lines), (0, 100), "{verdict:?}");
    // Truncated within a line.
    let length = live.metadata().unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&live).unwrap().set_len(length - 5).unwrap();
    bench.log = log(bench.dir.path());
    bench.lines(10);
    let verdict = bench.verify();
    assert_eq!((verdict.flaws.len(), verdict.lost[1].lines), (0, 1), "{verdict:?}");
    assert!(std::fs::read_to_string(&live).unwrap().contains("while no launcher was running"));
}

#[test]
fn the_last_moments_of_a_launcher_that_was_killed_and_what_strangers_add_are_told_as_unproven() {
    let mut bench = Bench::new();
    bench.lines(50);
    bench.log.write(bench.now, 1, b"the last words before the kill\n");
    bench.log = log(bench.dir.path());
    bench.lines(1);
    let live = bench.dir.path().join("chat.log");
    let text = std::fs::read_to_string(&live).unwrap() + "a stranger's\n";
    std::fs::write(&live, text).unwrap();
    bench.lines(1);
    let verdict = bench.verify();
    assert_eq!((verdict.flaws.len(), verdict.lost.len(), verdict.unproven.len()), (0, 0, 2), "{verdict:?}");
    assert_eq!(verdict.lines, 54);
}

#[test]
fn a_journal_that_is_torn_or_was_rewritten_says_the_same() {
    let mut bench = Bench::new();
    for _ in 0..2000 {
        bench.log.write(bench.now, 1, b"tick\n");
        bench.tick();
    }
    let path = journal::path(bench.dir.path(), "chat", None);
    let size = path.metadata().unwrap().len();
    assert!(size < 100_000, "{size}");
    assert_eq!(bench.verify().lines, 2000);
    let mut text = std::fs::read(&path).unwrap();
    text.extend_from_slice(b"{\"mark\":{\"from\":0,\"by");
    std::fs::write(&path, text).unwrap();
    assert_eq!(bench.verify().flaws, []);
    bench.log = log(bench.dir.path());
    bench.lines(1);
    let verdict = bench.verify();
    assert_eq!((verdict.flaws.len(), verdict.lines), (0, 2001), "{verdict:?}");
}

#[test]
fn a_launcher_that_died_between_the_two_renames_confuses_nobody() {
    let mut bench = Bench::new();
    bench.lines(290);
    assert_eq!(bench.files().len(), 1);
    let live = journal::path(bench.dir.path(), "chat", None);
    bench.lines(30);
    let aside = journal::path(bench.dir.path(), "chat", Some(1));
    std::fs::remove_file(bench.dir.path().join("chat.log")).unwrap();
    std::fs::rename(&aside, &live).unwrap();
    assert_eq!(bench.verify().flaws, []);
    bench.log = log(bench.dir.path());
    bench.lines(1);
    assert!(aside.exists());
    let verdict = bench.verify();
    assert_eq!((verdict.flaws.len(), verdict.lost.len(), verdict.files), (0, 0, 2), "{verdict:?}");
}

#[test]
fn a_file_that_is_compressed_between_the_look_for_it_and_at_it_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(names::aside("chat", "20261121T120307Z", 1));
    let text = |path: &Path| {
        let mut text = String::new();
        open(path, Form::Plain).map(|mut file| file.read_to_string(&mut text).unwrap())?;
        io::Result::Ok(text)
    };
    assert_eq!(text(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::Write::write_all(&mut encoder, b"one\n").unwrap();
    std::fs::write(names::compressed(&path).1, encoder.finish().unwrap()).unwrap();
    assert_eq!(text(&path).unwrap(), "one\n");
    std::fs::write(&path, "two\n").unwrap();
    assert_eq!(text(&path).unwrap(), "two\n");
}
