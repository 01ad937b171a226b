//! A database file that is moved, deleted, replaced or changed by others while it is in use.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use message_api::StoreConfig;
use message_api::store::StoreError;

use crate::bench::{Bench, Opened, draft, draft_with_id};

async fn opened(directory: &tempfile::TempDir) -> (Opened, PathBuf) {
    let bench = Bench { config: StoreConfig::default(), data: directory.path().to_owned() };
    let opened = bench.open().await;
    opened.say("alice", "bob", "before").await;
    (opened, directory.path().join("chat.db"))
}

/// Why a message is not acknowledged.
async fn refusal(opened: &Opened) -> String {
    let error = opened.store.append(vec![draft_with_id("alice", "bob", "meanwhile")]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    kit::failure::chain(&error)
}

fn log_of(path: &Path) -> PathBuf {
    path.with_file_name("chat.db-wal")
}

/// The real program, as an operator uses it.
fn sqlite3(path: &Path, sql: &str) {
    let output = Command::new("sqlite3").arg(path).arg(sql).stdin(Stdio::null()).output();
    let output = output.expect("sqlite3 can be run");
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn nothing_is_acknowledged_while_the_file_is_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let (opened, path) = opened(&directory).await;
    let aside = directory.path().join("aside.db");
    std::fs::rename(&path, &aside).unwrap();
    let told = refusal(&opened).await;
    assert!(told.contains("chat.db' was moved or deleted while in use; put it back"), "{told}");
    assert!(refusal(&opened).await.contains("was moved or deleted"));
    opened.store.probe().await.unwrap_err();
    assert!(!path.exists(), "no empty file takes its place");

    std::fs::rename(&aside, &path).unwrap();
    opened.store.append(vec![draft_with_id("alice", "bob", "meanwhile")]).await.unwrap();
    assert_eq!(opened.unseen("bob", 10).await, ["before", "meanwhile"], "each once");
    let published = opened.published.at_least(2).await;
    assert_eq!(published.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2]);
    opened.store.close().await.unwrap();
}

#[tokio::test]
async fn a_deleted_file_is_not_replaced_by_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    let (opened, path) = opened(&directory).await;
    std::fs::remove_file(&path).unwrap();
    assert!(refusal(&opened).await.contains("was moved or deleted while in use"));
    opened.store.close().await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn another_file_in_its_place_is_neither_written_nor_robbed_of_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let (opened, path) = opened(&directory).await;
    let other = tempfile::tempdir().unwrap();
    let theirs = Bench { config: StoreConfig::default(), data: other.path().to_owned() }.open().await;
    theirs.say("carol", "dave", "theirs").await;
    for name in ["chat.db", "chat.db-wal"] {
        std::fs::rename(directory.path().join(name), directory.path().join(format!("old-{name}"))).unwrap();
        std::fs::copy(other.path().join(name), directory.path().join(name)).unwrap();
    }
    let told = refusal(&opened).await;
    assert!(told.contains("another file was put in the place of '"), "{told}");
    opened.store.close().await.unwrap();
    drop(opened);
    assert!(log_of(&path).exists(), "the log of the file that is there now");
    let bench = Bench { config: StoreConfig::default(), data: directory.path().to_owned() };
    assert_eq!(bench.open().await.unseen("dave", 10).await, ["theirs"]);
}

#[tokio::test]
async fn what_was_acknowledged_is_saved_from_a_log_that_was_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let (opened, path) = opened(&directory).await;
    std::fs::remove_file(log_of(&path)).unwrap();
    let told = refusal(&opened).await;
    assert!(told.contains("chat.db-wal' was moved or deleted while in use; restart message-api"), "{told}");
    opened.store.close().await.unwrap();
    let bench = Bench { config: StoreConfig::default(), data: directory.path().to_owned() };
    let again = bench.open().await;
    assert_eq!(again.unseen("bob", 10).await[0], "before");
    again.store.append(vec![draft_with_id("alice", "bob", "meanwhile")]).await.unwrap();
    assert_eq!(again.unseen("bob", 10).await, ["before", "meanwhile"], "whether it was in the log or not");
}

#[tokio::test]
async fn another_program_may_write_but_not_delete() {
    let directory = tempfile::tempdir().unwrap();
    let (opened, path) = opened(&directory).await;
    sqlite3(&path, "UPDATE users SET name = upper(name); VACUUM");
    opened.say("alice", "bob", "second").await;
    assert_eq!(opened.unseen("bob", 10).await, ["before", "second"]);
    sqlite3(&path, "DELETE FROM events WHERE seq = 2");
    let told = refusal(&opened).await;
    assert!(told.contains("another program deleted messages from '"), "{told}");
    assert!(refusal(&opened).await.contains("restart message-api"), "until a restart");
    opened.store.close().await.unwrap();
    let (again, _) = self::opened(&directory).await;
    assert_eq!(again.unseen("bob", 10).await, ["before", "before"]);
}

#[tokio::test]
async fn a_table_that_is_not_ours_any_more_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let (opened, path) = opened(&directory).await;
    sqlite3(&path, "PRAGMA user_version = 99");
    let told = refusal(&opened).await;
    assert!(told.contains("another program changed the tables of '"), "{told}");
}

#[tokio::test]
async fn in_a_public_directory_without_umask_the_database_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    // Each test is a process of its own.
    kit::files::set_umask(0);
    for round in ["made", "found"] {
        let (opened, path) = opened(&directory).await;
        // A reader beside the writer: both files are in use.
        assert!(!opened.unseen("bob", 10).await.is_empty());
        for name in ["chat.db", "chat.db-wal", "chat.db-shm"] {
            let mode = std::fs::metadata(path.with_file_name(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}, {round}");
        }
        opened.store.close().await.unwrap();
    }
}

#[tokio::test]
async fn copies_and_files_made_elsewhere_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let (first, path) = opened(&directory).await;
    let backup = directory.path().join("all.backup");
    std::fs::write(&backup, first.backup().await).unwrap();
    std::fs::set_permissions(&backup, std::fs::Permissions::from_mode(0o600)).unwrap();
    first.store.close().await.unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (again, _) = opened(&directory).await;
    again.append(vec![draft("alice", "bob", "after")]).await;
    let kept = again.store.restore(backup).await.unwrap().kept.unwrap();
    assert!(kept.file_name().unwrap().to_str().unwrap().starts_with("chat.db.before-restore-"), "{kept:?}");
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap().path();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}
