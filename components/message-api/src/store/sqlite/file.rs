//! Opens the database file, checks its application and version, and makes sure that what is found in it is on the disk.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use protocol::native::Durability;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::files;
use super::migration;
use super::open_error::SqliteOpenError;
use super::schema::{self, PAGE_SIZE, Version};
use crate::store::ReportProgress;

/// Other processes hold the file only briefly: a backup, or somebody who inspects it. After this time a waiting caller gets an error, and
/// the supervisor within five seconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// More than the number of prepared statements in this program.
const STATEMENTS: usize = 64;
/// Opens the file for writing, creates it if it does not exist, and migrates an older one with its progress reported to `tell`.
pub(super) fn open(
    path: &Path,
    durability: Durability,
    tell: &ReportProgress,
) -> Result<Connection, SqliteOpenError> {
    let sqlite = |error| SqliteOpenError::from_sqlite(path, error);
    let mut connection = connect(path).map_err(sqlite)?;
    let version = schema::version(&connection).map_err(sqlite)?;
    match version {
        Version::Foreign => return Err(SqliteOpenError::Foreign(path.to_owned())),
        Version::Newer(found) => return Err(SqliteOpenError::newer(path, found)),
        Version::Ours(from) if from < schema::VERSION => {
            let kept = migration::migrate(path, connection, from, tell).map_err(|error| error.of(path))?;
            tell(&format!(
                "the messages are migrated to version {}; the old file is '{}'",
                schema::VERSION,
                kept.display()
            ));
            connection = connect(path).map_err(sqlite)?;
        }
        Version::Empty | Version::Ours(_) => {}
    }
    prepare(&mut connection, durability).map_err(sqlite)?;
    if version == Version::Empty {
        schema::create(&mut connection).map_err(sqlite)?;
    }
    if durability == Durability::Fsync {
        rewrite_log(&mut connection, path)?;
    }
    Ok(connection)
}

/// Rewrites the write-ahead log with the same content, and syncs it.
///
/// After a failed fsync the system may consider pages written that are only in its memory (Rebello et al., "Can Applications Recover from
/// fsync Failures?"), and the next fsync succeeds. What a crashed process or a failed commit left in the log would then be found, and
/// acknowledged when it is sent again, without being on the disk. Rewritten pages are dirty again. Meanwhile we hold the writers' lock, so
/// nobody else changes the log.
fn rewrite_log(connection: &mut Connection, path: &Path) -> Result<(), SqliteOpenError> {
    let sqlite = |error| SqliteOpenError::from_sqlite(path, error);
    let fence = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    rewrite(&files::log_of(path)).map_err(|source| SqliteOpenError::Log { path: path.to_owned(), source })?;
    fence.rollback().map_err(sqlite)
}

/// SQLite holds no lock on this file, so closing it releases none.
fn rewrite(log: &Path) -> std::io::Result<()> {
    let file = match OpenOptions::new().read(true).write(true).open(log) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut chunk = vec![0; 256 * 1024];
    let mut at = 0;
    loop {
        match file.read_at(&mut chunk, at)? {
            0 if at == 0 => return Ok(()),
            0 => return file.sync_all(),
            count => {
                file.write_all_at(&chunk[..count], at)?;
                at += count as u64;
            }
        }
    }
}

/// Creates the file if it does not exist, readable by its owner alone: created here and not by SQLite, which gives its other files the same
/// mode. A file that was made elsewhere, and its log, get that mode too.
pub(super) fn create(path: &Path) -> Result<(), SqliteOpenError> {
    let not_writable =
        |source| SqliteOpenError::NotWritable { path: path.to_owned(), source: Box::new(source) };
    let opened = kit::files::open(path, OpenOptions::new().create(true).append(true));
    match opened {
        Ok(file) => {
            make_private(&file).map_err(not_writable)?;
            // SQLite holds no lock on the log, so closing it releases none.
            match OpenOptions::new().append(true).open(files::log_of(path)) {
                Ok(log) => make_private(&log).map_err(not_writable),
                Err(_) => Ok(()),
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            Err(SqliteOpenError::Full(path.to_owned()))
        }
        Err(source) => Err(not_writable(source)),
    }
}

fn make_private(file: &File) -> std::io::Result<()> {
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 == 0 { Ok(()) } else { file.set_permissions(Permissions::from_mode(mode & 0o700)) }
}

/// Copying a database failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("the copy cannot be written")]
    System(#[from] std::io::Error),
}

/// Copies the database into a file that exists completely or not at all, readable by its owner alone.
pub(super) fn copy(connection: &Connection, copy: &Path) -> Result<(), CopyError> {
    let part = files::beside(copy, ".part");
    files::remove_leftover(&part)?;
    let file = kit::files::open(&part, OpenOptions::new().create_new(true).write(true))?;
    // `VACUUM INTO` accepts an empty file.
    let copied = connection.execute("VACUUM INTO ?1", [part.to_string_lossy()]).map_err(CopyError::from);
    let copied = copied.and_then(|_| {
        file.sync_all()?;
        Ok(kit::durable::rename(&part, copy)?)
    });
    if copied.is_err() {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&part);
    }
    copied
}

fn prepare(connection: &mut Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match durability {
        Durability::Fsync => "FULL",
        Durability::Relaxed => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // 8 MiB of pages: the upper levels of every index of a large file.
    connection.pragma_update(None, "cache_size", -8192)?;
    // Checkpoint every 16 MiB instead of every 4: fewer pauses, and pages that changed often are written once. After a burst the log is
    // truncated again.
    connection.pragma_update(None, "wal_autocheckpoint", 16 * 1024)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    // Every key that is written was read from its table in the same transaction, or cached since; checking again costs a third of the
    // speed.
    connection.pragma_update(None, "foreign_keys", false)
}

/// Opens the file, which must be a store, for reading only.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    // Only the writer may checkpoint and delete the log: by the time a reader closes, its path may have the log of another file.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -2048)?;
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // A connection is used by one thread at a time, so SQLite need not lock it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise a statement whose plan could depend on a bound value, such as a limit, is recompiled on each execution.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}
