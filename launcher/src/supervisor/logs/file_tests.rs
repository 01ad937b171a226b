//! What a log does when all is well, and when nothing is.

use super::*;

/// A log in a directory of its own, with a clock.
struct Bench {
    dir: tempfile::TempDir,
    log: LogFile,
    now: Instant,
}

impl Bench {
    fn new(max_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let log = log(dir.path(), max_bytes, now);
        Self { dir, log, now }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("chat.log")
    }

    fn write(&mut self, text: &str) {
        self.log.write(self.now, text.as_bytes());
    }

    fn tick(&mut self) {
        self.now += CHECK;
        self.log.tick(self.now);
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    /// All that is on disk, in the order in which it was written.
    fn all(&self) -> Vec<Vec<u8>> {
        let mut names: Vec<PathBuf> =
            std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        // `chat.2026…` comes before `chat.log`.
        names.sort();
        names.iter().map(|path| std::fs::read(path).unwrap()).collect()
    }
}

fn log(dir: &Path, max_bytes: u64, now: Instant) -> LogFile {
    // The archiver looks after another directory, so that what is put aside stays as it is.
    let elsewhere = dir.join("elsewhere-that-is-not-there");
    let archiver = Archiver::start(&elsewhere).unwrap();
    let policy = LogPolicy { max_bytes, ..LogPolicy::default() };
    LogFile::new(dir, "chat", policy, Arc::default(), archiver, now)
}

#[test]
fn files_are_put_aside_on_line_ends_and_hold_every_byte() {
    for chunk in [1, 3, 50, 1000] {
        let mut bench = Bench::new(100);
        let text: String = (0..200).map(|i| format!("{i} {}\n", "x".repeat(i % 40))).collect();
        for piece in text.as_bytes().chunks(chunk) {
            bench.log.write(bench.now, piece);
        }
        let files = bench.all();
        assert!(files.len() > 30, "{}", files.len());
        assert_eq!(files.concat(), text.as_bytes());
        for file in &files {
            assert!(file.ends_with(b"\n"));
            assert!(file.len() <= 100 + 45);
        }
    }
}

#[test]
fn a_line_longer_than_any_file_is_cut_rather_than_kept_for_ever() {
    let mut bench = Bench::new(100);
    let piece = "x".repeat(100_000);
    (0..30).for_each(|_| bench.write(&piece));
    let files = bench.all();
    assert_eq!(files.iter().map(Vec::len).sum::<usize>(), 3_000_000);
    assert!(files.iter().all(|file| file.len() as u64 <= 100 + MAX_LINE + 100_000));
}

#[test]
fn a_later_launcher_goes_on_where_the_last_one_stopped() {
    let mut bench = Bench::new(20);
    bench.write("0123456789\nabcdefghijklmn\nhalf a li");
    bench.log = log(bench.dir.path(), 20, bench.now);
    bench.write("next\n");
    assert_eq!(bench.all().len(), 3);
    assert_eq!(bench.text(), "half a li\nnext\n");
}

#[test]
fn a_log_that_is_deleted_or_replaced_is_begun_anew() {
    let mut bench = Bench::new(1000);
    bench.write("one\n");
    std::fs::remove_file(bench.path()).unwrap();
    bench.tick();
    bench.write("two\n");
    assert_eq!(bench.text(), "two\n");
    std::fs::rename(bench.path(), bench.dir.path().join("moved")).unwrap();
    std::fs::write(bench.path(), "a stranger's\n").unwrap();
    bench.tick();
    bench.write("three\n");
    assert_eq!(bench.text(), "a stranger's\nthree\n");
    std::fs::write(bench.path(), "").unwrap();
    bench.tick();
    bench.write("four\n");
    assert_eq!(bench.text(), "four\n");
}

#[test]
fn a_directory_that_is_removed_is_made_again() {
    let mut bench = Bench::new(1000);
    bench.write("one\n");
    std::fs::remove_dir_all(bench.dir.path()).unwrap();
    bench.tick();
    bench.write("two\n");
    assert_eq!(bench.text(), "two\n");
}

#[test]
fn what_cannot_be_written_is_counted_line_by_line() {
    let mut bench = Bench::new(1000);
    std::os::unix::fs::symlink("/dev/full", bench.path()).unwrap();
    bench.write("one\ntwo\nhalf");
    bench.write(" a line\nfour\n");
    assert_eq!(bench.log.counters.dropped(), Dropped { dropped_lines: 4, dropped_bytes: 25 });
    std::fs::remove_file(bench.path()).unwrap();
    bench.write("in the midst of ");
    bench.tick();
    assert!(!bench.path().exists(), "the line under way is lost, too");
    bench.write("it\nfive\n");
    let text = bench.text();
    let (notice, rest) = text.split_once('\n').unwrap();
    assert!(notice.starts_with("[launcher] dropped 5 lines, 44 bytes, from 20"), "{notice}");
    assert!(notice.ends_with("No space left on device (os error 28)"), "{notice}");
    assert_eq!(rest, "five\n");
}

#[test]
fn recovery_is_told_also_when_nothing_more_comes() {
    let mut bench = Bench::new(1000);
    std::fs::create_dir(bench.path()).unwrap();
    bench.write("one\n");
    bench.log.end_stream(bench.now);
    bench.tick();
    std::fs::remove_dir(bench.path()).unwrap();
    bench.tick();
    assert!(bench.text().contains("dropped 1 lines, 4 bytes"), "{}", bench.text());
}

#[test]
fn a_stream_that_ends_within_a_line_does_not_tear_the_next() {
    let mut bench = Bench::new(1000);
    bench.write("half");
    bench.log.end_stream(bench.now);
    bench.write("whole\n");
    assert_eq!(bench.text(), "half [launcher] the line ends here with its process\nwhole\n");
}

/// A file system of 64 KiB that is unmounted at the end.
struct TinyDisk(tempfile::TempDir);

impl TinyDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self(dir))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_costs_whole_lines_and_every_byte_is_accounted_for() {
    let Some(disk) = TinyDisk::mount() else {
        eprintln!("SKIPPED: a tmpfs cannot be mounted here; run as root to test a full disk");
        return;
    };
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, [0; 32 * 1024]).unwrap();
    let mut now = Instant::now();
    let mut log = log(disk.0.path(), 1 << 20, now);
    let mut produced = 0;
    for i in 0..3000 {
        let line = format!("line {i} of many\n");
        produced += line.len() as u64;
        // In two pieces, so that lines are torn by the failure.
        log.write(now, &line.as_bytes()[..5]);
        log.write(now, &line.as_bytes()[5..]);
        if i == 2500 {
            std::fs::remove_file(&ballast).unwrap();
            now += RETRY;
        }
    }
    let text = std::fs::read_to_string(disk.0.path().join("chat.log")).unwrap();
    let notices: Vec<&str> = text.lines().filter(|line| line.starts_with("[launcher]")).collect();
    assert_eq!(notices.len(), 1, "{notices:?}");
    let torn: Vec<&str> =
        text.lines().filter(|l| !l.ends_with("of many") && !l.starts_with("[launcher]")).collect();
    assert!(torn.is_empty(), "{torn:?}");
    let Dropped { dropped_lines, dropped_bytes } = log.counters.dropped();
    let written = text.len() as u64 - notices[0].len() as u64 - 1;
    assert_eq!(written + dropped_bytes, produced);
    assert_eq!(text.lines().count() as u64 - 1 + dropped_lines, 3000);
}
