//! Tests of a log under normal and adverse conditions.

use super::*;

/// The default stream.
const STREAM: StreamId = 1;

/// A log in a directory of its own, with a clock.
struct Bench {
    dir: tempfile::TempDir,
    log: LogFile,
    now: Instant,
}

impl Bench {
    fn new(max_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path(), max_bytes);
        Self { dir, log, now: Instant::now() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("chat.log")
    }

    fn write(&mut self, text: &str) {
        self.log.write(self.now, STREAM, text.as_bytes());
    }

    fn tick(&mut self) {
        self.now += RETRY;
        self.log.tick(self.now);
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    fn dropped(&self) -> (u64, u64) {
        let Dropped { dropped_lines, dropped_bytes } = self.log.counters.dropped();
        (dropped_lines, dropped_bytes)
    }

    /// The lines on the disk in the order in which they were written.
    fn all(&self) -> Vec<Vec<u8>> {
        let mut names: Vec<PathBuf> =
            std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.retain(|path| path.is_file());
        // `chat.2026…` comes before `chat.log`.
        names.sort();
        names.iter().map(|path| std::fs::read(path).unwrap()).collect()
    }
}

fn log(dir: &Path, max_bytes: u64) -> LogFile {
    // Without an archiver, so that what is put aside stays as it is.
    let policy = LogPolicy { max_bytes, ..LogPolicy::default() };
    LogFile::new(dir, "chat", policy, Arc::default(), None)
}

#[test]
fn files_are_put_aside_on_line_ends_and_hold_every_byte() {
    for chunk in [1, 3, 50, 1000] {
        let mut bench = Bench::new(100);
        let text: String = (0..200).map(|i| format!("{i} {}\n", "x".repeat(i % 40))).collect();
        for piece in text.as_bytes().chunks(chunk) {
            bench.log.write(bench.now, STREAM, piece);
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
    bench.log = log(bench.dir.path(), 20);
    bench.write("next\n");
    assert_eq!(bench.all().len(), 3);
    assert_eq!(bench.text(), "half a li\nnext\n");
}

#[test]
fn what_was_in_a_file_that_is_deleted_is_counted() {
    let mut bench = Bench::new(1000);
    bench.write("one\ntwo\nth");
    std::fs::remove_file(bench.path()).unwrap();
    bench.write("ree\nfour\n");
    assert_eq!(bench.dropped(), (3, 14), "the line under way has lost its beginning");
    let text = bench.text();
    let (notice, rest) = text.split_once('\n').unwrap();
    assert!(notice.starts_with("[launcher] dropped 3 lines, 14 bytes, from 20"), "{notice}");
    assert!(notice.ends_with("the file was deleted"), "{notice}");
    assert_eq!(rest, "four\n");
    // The notice itself is not counted.
    std::fs::remove_file(bench.path()).unwrap();
    bench.tick();
    assert_eq!(bench.dropped(), (4, 19));
    assert!(bench.text().contains("dropped 1 lines, 5 bytes"), "{}", bench.text());
}

#[test]
fn a_file_that_is_cut_short_keeps_whole_lines_and_the_rest_is_counted() {
    let mut bench = Bench::new(1000);
    bench.write("one\ntwo\nthree\nfo");
    let file = std::fs::OpenOptions::new().write(true).open(bench.path()).unwrap();
    file.set_len(6).unwrap();
    bench.write("ur\nfive\n");
    assert_eq!(bench.dropped(), (3, 15));
    let text = bench.text();
    assert!(text.starts_with("one\n[launcher] dropped 3 lines, 15 bytes, from 20"), "{text}");
    assert!(text.ends_with(": the file was truncated\nfive\n"), "{text}");
    file.set_len(0).unwrap();
    bench.tick();
    assert_eq!(bench.dropped(), (5, 24));
}

#[test]
fn a_file_that_is_moved_away_gets_the_rest_of_its_line() {
    let mut bench = Bench::new(1000);
    bench.write("one\ntw");
    let moved = bench.dir.path().join("moved");
    std::fs::rename(bench.path(), &moved).unwrap();
    std::fs::write(bench.path(), "a stranger's").unwrap();
    bench.write("o\nthree\n");
    assert_eq!(std::fs::read_to_string(moved).unwrap(), "one\ntwo\n");
    let notice = "[launcher] the file was moved with 2 lines, 8 bytes; nothing is lost\n";
    assert_eq!(bench.text(), format!("a stranger's\n{notice}three\n"));
    assert_eq!(bench.dropped(), (0, 0));
    // Whoever adds to it takes nothing away.
    std::fs::write(bench.path(), format!("{}another's\nhalf", bench.text())).unwrap();
    bench.write("four\n");
    assert!(bench.text().ends_with("three\nanother's\nhalf\nfour\n"), "{}", bench.text());
}

#[test]
fn a_directory_that_is_removed_is_made_again() {
    let mut bench = Bench::new(1000);
    bench.write("one\n");
    std::fs::remove_dir_all(bench.dir.path()).unwrap();
    bench.tick();
    bench.write("two\n");
    assert!(bench.text().ends_with(": the file was deleted\ntwo\n"), "{}", bench.text());
    assert_eq!(bench.dropped(), (1, 4));
}

#[test]
fn what_cannot_be_written_is_counted_line_by_line() {
    let mut bench = Bench::new(1000);
    std::os::unix::fs::symlink("/dev/full", bench.path()).unwrap();
    bench.write("one\ntwo\nhalf");
    bench.write(" a line\nfour\n");
    assert_eq!(bench.dropped(), (4, 25));
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
    bench.log.end_stream(bench.now, STREAM);
    bench.tick();
    std::fs::remove_dir(bench.path()).unwrap();
    bench.tick();
    assert!(bench.text().contains("dropped 1 lines, 4 bytes"), "{}", bench.text());
}

#[test]
fn a_stream_that_ends_within_a_line_does_not_tear_the_next() {
    let mut bench = Bench::new(1000);
    bench.write("half");
    bench.log.end_stream(bench.now, STREAM);
    bench.write("whole\n");
    assert_eq!(bench.text(), "half [launcher] the line ends here with its process\nwhole\n");
}

#[test]
fn two_processes_never_share_a_line() {
    let mut bench = Bench::new(1000);
    bench.write("one ");
    bench.log.write(bench.now, 2, b"other\n");
    bench.write("and the rest\n");
    let remark = "one  [launcher] output of another process; the line continues below\n";
    assert_eq!(bench.text(), format!("{remark}other\nand the rest\n"));
}

#[test]
fn what_a_stream_had_to_drop_is_told_before_what_follows() {
    let mut bench = Bench::new(1000);
    bench.write("one\nhal");
    let missed = Missed { amount: Amount { lines: 7, bytes: 70 }, since: "then".to_owned(), in_line: true };
    bench.log.missed(bench.now, STREAM, &missed);
    bench.write("two\n");
    let text = bench.text();
    assert!(text.starts_with("one\n[launcher] dropped 7 lines, 73 bytes, from then to 20"), "{text}");
    assert!(text.ends_with(": the disk stood still\ntwo\n"), "{text}");
    // The stream has counted its own losses.
    assert_eq!(bench.dropped(), (0, 3));
}

/// Two streams with arbitrary chunks, while the file is deleted, moved and truncated at every step: the content and the counted losses add
/// up to what was written, and every line is complete.
#[test]
fn whatever_is_done_to_the_file_every_byte_is_there_or_counted() {
    for seed in 0..300 {
        let mut random = Random(seed * 2 + 1);
        let mut bench = Bench::new(300);
        let (mut produced, mut lines, mut moved) = (0, [0_u64; 2], 0);
        for _ in 0..200 {
            let stream = random.below(2);
            let (last, cut) = (lines[stream], random.below(10));
            lines[stream] += random.below(4) as u64;
            let whole = (last..lines[stream]).map(|i| format!("{stream} line {i} of it\n"));
            let text: String = whole.collect();
            for piece in text.as_bytes().chunks(cut + 1) {
                bench.log.write(bench.now, stream as StreamId, piece);
            }
            produced += text.len() as u64;
            match random.below(12) {
                0 => drop(std::fs::remove_file(bench.path())),
                1 => {
                    moved += 1;
                    let _ = std::fs::rename(bench.path(), bench.dir.path().join(format!("moved.{moved}")));
                }
                2 => {
                    if let Ok(file) = std::fs::OpenOptions::new().write(true).open(bench.path()) {
                        let length = file.metadata().unwrap().len();
                        file.set_len(random.below(length as usize + 1) as u64).unwrap();
                    }
                }
                3 => bench.tick(),
                _ => {}
            }
        }
        bench.tick();
        let text = String::from_utf8(bench.all().concat()).unwrap();
        let (own, theirs): (Vec<&str>, Vec<&str>) =
            text.split_inclusive('\n').partition(|line| line.starts_with("[launcher]"));
        let torn: Vec<&&str> = theirs.iter().filter(|line| !line.ends_with(" of it\n")).collect();
        assert!(torn.is_empty(), "seed {seed}: {torn:?}\n{own:?}");
        let there: u64 = theirs.iter().map(|line| line.len() as u64).sum();
        let (dropped_lines, dropped_bytes) = bench.dropped();
        assert_eq!(there + dropped_bytes, produced, "seed {seed}\n{text}");
        assert_eq!(theirs.len() as u64 + dropped_lines, lines.iter().sum::<u64>(), "seed {seed}\n{text}");
    }
}

/// Xorshift; sufficient for tests.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// A file system of 64 KiB, unmounted at the end.
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
    let mut log = log(disk.0.path(), 1 << 20);
    let mut produced = 0;
    for i in 0..3000 {
        let line = format!("line {i} of many\n");
        produced += line.len() as u64;
        // In two chunks, so that failures occur within lines.
        log.write(now, STREAM, &line.as_bytes()[..5]);
        log.write(now, STREAM, &line.as_bytes()[5..]);
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

#[test]
fn a_cut_between_the_look_and_the_write_is_counted_to_the_byte() {
    let mut bench = Bench::new(1 << 20);
    bench.write("one\ntwo\nthree\n");
    let file = std::fs::OpenOptions::new().write(true).open(bench.path()).unwrap();
    file.set_len(5).unwrap();
    let segment = bench.log.segment.as_mut().unwrap();
    assert!(segment.append(b"four\n").unwrap_err().cut);
    assert_eq!(bench.text(), "one\nt");
    bench.write("four\n");
    assert_eq!(bench.dropped(), (2, 10));
    let text = bench.text();
    assert!(
        text.starts_with("one\n[launcher] dropped 2 lines, 10 bytes") && text.ends_with("\nfour\n"),
        "{text}"
    );
}
