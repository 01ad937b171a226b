//! A failing disk: strace replaces results of `fsync` by errors, and the store's behaviour is read from strace's log.
//!
//! `P2P_TEST_SKIP_STRACE=1` skips this where strace is missing or may not trace.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use message_api::StoreConfig;

use crate::bench::{Bench, draft_with_id};

/// Messages written one after the other, each until it is acknowledged.
const MESSAGES: usize = 120;

fn bench(data: impl Into<PathBuf>) -> Bench {
    Bench { config: StoreConfig::default(), data: data.into() }
}

/// Run by the test below in a process of its own.
#[tokio::test]
#[ignore = "it is run under strace"]
async fn writes_whatever_the_disk_says() {
    let Ok(data) = std::env::var("P2P_TEST_DATA") else { return };
    let opened = bench(data).open().await;
    for n in 0..MESSAGES {
        if n == MESSAGES / 2 {
            // From now on there is a reader, too: the log outlives the writer's connection.
            opened.unseen("bob", 1).await;
        }
        while opened.store.append(vec![draft_with_id("alice", "bob", &format!("m{n}"))]).await.is_err() {
            println!("\nfailed m{n}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        println!("\nacknowledged m{n}");
    }
}

/// The relevant events of the log beside the database file.
#[derive(Debug, Default)]
struct Log {
    /// It was written since the last sync.
    dirty: bool,
    /// The database file was written since its last sync.
    file_is_dirty: bool,
    /// Its length at a failed sync; until all of it was rewritten and synced its content is uncertain.
    suspect: Option<u64>,
    length: u64,
    /// How much of it was rewritten, from its beginning on.
    again: u64,
    failures: usize,
    rewritings: usize,
    deletions: usize,
    acknowledged: usize,
}

impl Log {
    fn wrote(&mut self, at: u64, bytes: u64) {
        self.dirty = true;
        self.length = self.length.max(at + bytes);
        if at <= self.again {
            self.again = self.again.max(at + bytes);
        }
    }

    fn synced(&mut self, well: bool) {
        if !well {
            self.failures += 1;
            self.suspect = Some(self.length);
            self.again = 0;
            return;
        }
        self.dirty = false;
        if self.suspect.is_some_and(|length| self.again >= length) {
            self.suspect = None;
            self.rewritings += 1;
        }
    }

    /// Everything in it is also in the database file.
    fn deleted(&mut self) {
        assert!(!self.file_is_dirty, "the log was deleted before the file was synced");
        (self.dirty, self.suspect, self.length, self.again) = (false, None, 0, 0);
        self.deletions += 1;
    }

    fn acknowledged(&mut self, line: &str) {
        assert!(!self.dirty, "acknowledged before it was synced: {line}");
        assert_eq!(self.suspect, None, "acknowledged after a sync that failed: {line}");
        self.acknowledged += 1;
    }
}

/// Parses strace's output: a call that another thread interrupted takes two lines.
fn read(trace: &str) -> Log {
    let (mut log, mut begun) = (Log::default(), HashMap::new());
    for line in trace.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let whole = if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, start);
            continue;
        } else if let Some((_, end)) = rest.split_once(" resumed>") {
            format!("{}{end}", begun.remove(pid).unwrap_or_default())
        } else {
            rest.to_owned()
        };
        call(&whole, &mut log);
    }
    log
}

fn call(call: &str, log: &mut Log) {
    let (name, arguments) = call.split_once('(').unwrap_or((call, ""));
    let result = call.rsplit_once(" = ").map_or("", |(_, result)| result);
    let file = arguments.split_once('>').map_or("", |(file, _)| file);
    let (is_log, is_file) = (file.ends_with("-wal"), file.ends_with(".db"));
    match name {
        "fsync" | "fdatasync" if is_log => log.synced(result == "0"),
        "fsync" | "fdatasync" if is_file && result == "0" => log.file_is_dirty = false,
        "pwrite64" if is_file => log.file_is_dirty = true,
        "unlink" if arguments.contains("-wal\"") && result == "0" => log.deleted(),
        "pwrite64" if is_log => {
            let end = arguments.rsplit_once(')').map_or("", |(arguments, _)| arguments);
            let at = end.rsplit_once(", ").and_then(|(_, at)| at.parse().ok()).unwrap_or(0);
            log.wrote(at, result.parse().unwrap_or(0));
        }
        "write" if arguments.contains("acknowledged m") => log.acknowledged(call),
        _ => {}
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_after_a_failed_fsync() {
    if std::env::var("P2P_TEST_SKIP_STRACE").is_ok_and(|skip| skip == "1") {
        eprintln!("P2P_TEST_SKIP_STRACE=1: nothing is shown about a disk that fails");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    // The first ones create the file; a store whose file cannot be created fails.
    let status = strace(&trace, "when=12+9").env("P2P_TEST_DATA", directory.path()).status();
    let status = status.expect("strace can be run: ./test.sh brings it, or set P2P_TEST_SKIP_STRACE=1");
    assert!(status.success(), "{status}; where tracing is forbidden, set P2P_TEST_SKIP_STRACE=1");
    let log = read(&std::fs::read_to_string(&trace).unwrap());
    assert_eq!(log.acknowledged, MESSAGES, "{log:?}");
    assert!(log.failures > 10 && log.deletions > 3 && log.rewritings > 3, "{log:?}");

    let stored = bench(directory.path()).open().await.unseen("bob", 200).await;
    let expected: Vec<_> = (0..MESSAGES).map(|n| format!("m{n}")).collect();
    assert_eq!(stored, expected, "each once, in order");
}

/// This test binary, running only the writer, with some of its syncs failing.
fn strace(trace: &Path, when: &str) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "64", "-e", "trace=fsync,fdatasync,pwrite64,write,unlink", "-e"]);
    command.arg(format!("inject=fsync,fdatasync:error=EIO:{when}")).arg("-o").arg(trace);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", "disk::writes_whatever_the_disk_says", "--ignored", "--nocapture"]);
    command.stdout(std::process::Stdio::null());
    command
}

#[test]
fn the_checker_notices_what_it_is_there_for() {
    let write = "7 pwrite64(9</d/chat.db-wal>, \"x\"..., 100, 0) = 100\n";
    let sync = "7 fsync(9</d/chat.db-wal>) = 0\n";
    let fail = "7 fsync(9</d/chat.db-wal>) = -1 EIO (Input/output error) (INJECTED)\n";
    let again = "7 pwrite64(9</d/chat.db-wal>, \"x\"..., 200, 0) = 200\n";
    let more = "7 pwrite64(9</d/chat.db-wal>, \"x\"..., 100, 100) = 100\n";
    let told = "8 write(1</dev/null>, \"acknowledged m1\", 15) = 15\n";
    let holds = |lines: &[&str]| std::panic::catch_unwind(|| read(&lines.concat())).is_ok();
    assert!(holds(&[write, sync, told]));
    assert!(!holds(&[write, told]));
    assert!(!holds(&[write, fail, told]));
    assert!(!holds(&[write, sync, more, fail, sync, told]), "a second sync proves nothing");
    assert!(!holds(&[write, sync, more, fail, more, sync, told]));
    assert!(holds(&[write, sync, more, fail, again, sync, told]));
    let file = "7 pwrite64(8</d/chat.db>, \"x\"..., 100, 0) = 100\n";
    let delete = "7 unlink(\"/d/chat.db-wal\") = 0\n";
    assert!(holds(&[write, fail, file, "7 fsync(8</d/chat.db>) = 0\n", delete, told]));
    assert!(!holds(&[write, fail, file, delete, told]));
    let split = ["7 fsync(9</d/chat.db-wal> <unfinished ...>\n", told, "7 <... fsync resumed>) = 0\n"];
    assert!(!holds(&[&[write], &split[..]].concat()));
}
