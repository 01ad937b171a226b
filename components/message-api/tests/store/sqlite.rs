//! The contract on SQLite, and failures of a file.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kit::Exit;
use message_api::StoreConfig;
use message_api::store;
use protocol::native::Durability;

use crate::bench::{Bench, Published, draft};
use crate::contract;

fn bench(directory: &tempfile::TempDir) -> Bench {
    bench_on(directory.path())
}

pub(crate) fn bench_on(directory: &Path) -> Bench {
    Bench { config: StoreConfig::default(), data: directory.to_owned() }
}

macro_rules! tests {
    ($($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let directory = tempfile::tempdir().unwrap();
                contract::$case(&bench(&directory)).await;
            }
        )*
    };
}
contract::cases!(tests);

async fn open_error(directory: &Path, url: &str) -> (Exit, String) {
    let config = StoreConfig { url: url.to_owned(), ..StoreConfig::default() };
    let opened =
        store::open(&config, directory, std::sync::Arc::new(Published::default()), store::no_progress())
            .await;
    let failure = opened.err().unwrap().into_failure();
    (failure.exit(), failure.to_string())
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("chat.db");
    let text = "dear diary, this is not a database at all\n".repeat(100);
    std::fs::write(&path, &text).unwrap();
    let (exit, message) = open_error(directory.path(), "sqlite:chat.db").await;
    assert_eq!(exit, Exit::Config);
    assert!(message.contains("chat.db") && message.contains("not a database of P2P Chat"), "{message}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(directory.path().join("chat.db")).unwrap();
    connection.execute_batch("CREATE TABLE recipes (id INTEGER)").unwrap();
    drop(connection);
    let (exit, message) = open_error(directory.path(), "sqlite:chat.db").await;
    assert_eq!(exit, Exit::Config);
    assert!(message.contains("not a database of P2P Chat"), "{message}");
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    bench(&directory).open().await.store.close().await.unwrap();
    let connection = rusqlite::Connection::open(directory.path().join("chat.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let (exit, message) = open_error(directory.path(), "sqlite:chat.db").await;
    assert_eq!(exit, Exit::Config);
    assert!(message.contains("newer P2P Chat (schema 99, this one knows 6)"), "{message}");
}

#[tokio::test]
async fn a_missing_directory_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let (exit, message) = open_error(directory.path(), "sqlite:none/chat.db").await;
    assert_eq!(exit, Exit::Config);
    assert!(message.contains("none/chat.db' cannot be opened for writing"), "{message}");
    assert!(message.contains("No such file or directory"), "{message}");
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let opened = bench(&directory).open().await;
    opened.say("alice", "bob", "secret").await;
    let files: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 2, "the file and its log: {files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn relaxed_durability_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = bench(&directory);
    assert_eq!(bench.open().await.store.durability(), Durability::Fsync);
    bench.config.durability = Durability::Relaxed;
    let opened = bench.open().await;
    assert_eq!(opened.store.durability(), Durability::Relaxed);
    opened.say("alice", "bob", "x").await;
}

/// The clock was ten years ahead when the first was stored.
#[tokio::test]
async fn a_clock_that_was_ahead_dates_nothing_that_follows_and_changes_no_order() {
    let directory = tempfile::tempdir().unwrap();
    let opened = bench(&directory).open().await;
    let first = opened.say("alice", "bob", "first").await;
    opened.store.close().await.unwrap();
    let ahead = 315_360_000_000_000_i64;
    let connection = rusqlite::Connection::open(directory.path().join("chat.db")).unwrap();
    connection.execute("UPDATE events SET at = at + ?1", [ahead]).unwrap();
    drop(connection);
    let opened = bench(&directory).open().await;
    let second = opened.say("bob", "alice", "second").await;
    let third = opened.say("alice", "bob", "third").await;
    assert_eq!((second.seq, third.seq), (2, 3));
    let soon = first.at.micros() + 3_600_000_000;
    assert!(second.at.micros() < soon && third.at.micros() < soon, "the next ones have their own time");
    opened.say("carol", "bob", "other conversation").await;
    assert_eq!(opened.unseen("bob", 1).await, ["first", "third", "other conversation"]);

    // A restore recomputes the order over all conversations from the times.
    let backup = directory.path().join("all.backup");
    std::fs::write(&backup, opened.backup().await).unwrap();
    opened.store.restore(backup).await.unwrap();
    assert_eq!(opened.unseen("bob", 1).await.len(), 3, "page by page, nothing is passed over");
    let dm = opened.store.events(&crate::bench::dm("alice", "bob"), store::Range::After(0), 9).await.unwrap();
    assert_eq!(dm.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn a_failed_commit_is_an_error_and_the_next_one_works() {
    let directory = tempfile::tempdir().unwrap();
    let opened = bench(&directory).open().await;
    opened.say("alice", "bob", "before").await;
    break_inserts(directory.path(), true);
    let error = opened.store.append(vec![draft("alice", "bob", "lost")]).await.unwrap_err();
    assert!(matches!(error, store::StoreError::Unavailable { .. }), "{error}");
    assert_eq!(opened.unseen("bob", 10).await, ["before"]);
    break_inserts(directory.path(), false);
    assert_eq!(opened.say("alice", "bob", "after").await.seq, 2);
    assert_eq!(opened.unseen("bob", 10).await, ["before", "after"]);
    assert_eq!(opened.published.events().len(), 2);
}

/// Changes by another process are the closest that a test can come to a failing disk.
fn break_inserts(directory: &Path, broken: bool) {
    let connection = rusqlite::Connection::open(directory.join("chat.db")).unwrap();
    let sql = if broken {
        "CREATE TRIGGER broken BEFORE INSERT ON events BEGIN SELECT raise(ABORT, 'the disk is gone'); END"
    } else {
        "DROP TRIGGER broken"
    };
    connection.execute_batch(sql).unwrap();
}

/// Run by the test below in a process of its own.
#[tokio::test]
#[ignore = "writes until it is killed"]
async fn writes_until_killed() {
    let Ok(data) = std::env::var("P2P_TEST_DATA") else { return };
    let bench = Bench { config: StoreConfig::default(), data: data.into() };
    let opened = bench.open().await;
    for batch in 0.. {
        let drafts = (0..10).map(|n| draft("alice", "bob", &format!("{batch} {n}"))).collect();
        opened.append(drafts).await;
        println!("\nacknowledged {batch}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_kill_9() {
    use std::io::{BufRead, BufReader};
    let directory = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::writes_until_killed", "--ignored", "--nocapture"])
        .env("P2P_TEST_DATA", directory.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut acknowledged = 0;
    for line in lines {
        if let Some(batch) = line.strip_prefix("acknowledged ") {
            acknowledged = batch.parse::<usize>().unwrap() + 1;
            if acknowledged == 50 {
                // SIGKILL at any moment; what it printed until then is still read.
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(acknowledged >= 50);
    let bodies = bench(&directory).open().await.unseen("bob", 200).await;
    let expected: Vec<_> = (0..bodies.len()).map(|n| format!("{} {}", n / 10, n % 10)).collect();
    assert!(bodies.len() >= acknowledged * 10, "{} of {acknowledged} batches", bodies.len() / 10);
    assert_eq!(bodies, expected, "whole batches, in order, each once");
}
