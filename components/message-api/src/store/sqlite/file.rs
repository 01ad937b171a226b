//! Opens the database file: whether it is ours, of which version, and why not; and makes sure that what is found in it is on the disk.

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
use crate::store::Tell;

/// Another process holds the file only for moments: a backup, or somebody looking into it. Whoever waits longer is told, and the
/// supervisor within five seconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// More prepared statements than there are in this program.
const STATEMENTS: usize = 64;
/// Opens the file for writing, makes it where there is none, and migrates an older one; `tell` hears how far that is.
pub(super) fn open(path: &Path, durability: Durability, tell: &Tell) -> Result<Connection, SqliteOpenError> {
    let sqlite = |error| SqliteOpenError::from_sqlite(path, error);
    let mut connection = connect(path).map_err(sqlite)?;
    let version = schema::version(&connection).map_err(sqlite)?;
    match version {
        Version::Foreign => return Err(SqliteOpenError::Foreign(path.to_owned())),
        Version::Newer(found) => {
            return Err(SqliteOpenError::Newer { path: path.to_owned(), found, known: schema::VERSION });
        }
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
        distrust_log(&mut connection, path)?;
    }
    Ok(connection)
}

/// Writes the log again as it is, and to the disk.
///
/// After a failed fsync the system may take for written what is in its memory only (Rebello et al., "Can Applications Recover from
/// fsync Failures?"), and the next fsync says that all is well. What a crashed process had in the log, or a failed commit left there,
/// would then be found, and acknowledged when it is sent again, without being on the disk. Written again it is new to the system.
/// Meanwhile we hold the lock of writers, so nobody else changes the log.
fn distrust_log(connection: &mut Connection, path: &Path) -> Result<(), SqliteOpenError> {
    let sqlite = |error| SqliteOpenError::from_sqlite(path, error);
    let fence = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    write_again(&files::log_of(path))
        .map_err(|source| SqliteOpenError::Log { path: path.to_owned(), source })?;
    fence.rollback().map_err(sqlite)
}

/// SQLite holds no lock on this file, so closing it gives none up.
fn write_again(log: &Path) -> std::io::Result<()> {
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

/// Makes the file where there is none, and sees to it that only its owner may read what is said: it is made by us rather than by
/// SQLite, which gives its other files the same mode. One that was made elsewhere, and the log beside it, get that mode, too.
pub(super) fn create(path: &Path) -> Result<(), SqliteOpenError> {
    let not_writable =
        |source| SqliteOpenError::NotWritable { path: path.to_owned(), source: Box::new(source) };
    let opened = kit::files::open(path, OpenOptions::new().create(true).append(true));
    match opened {
        Ok(file) => {
            make_private(&file).map_err(not_writable)?;
            // SQLite holds no lock on the log, so closing it gives none up.
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

/// A database could not be copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("the copy cannot be written")]
    System(#[from] std::io::Error),
}

/// Copies the database, as it is now, into a file that is there complete or not at all, and that its owner alone may read.
pub(super) fn copy(connection: &Connection, copy: &Path) -> Result<(), CopyError> {
    let part = files::beside(copy, ".part");
    files::remove_leftover(&part)?;
    let file = kit::files::open(&part, OpenOptions::new().create_new(true).write(true))?;
    // It takes an empty file.
    let copied = connection.execute("VACUUM INTO ?1", [part.to_string_lossy()]).map_err(CopyError::from);
    let copied = copied.and_then(|_| {
        file.sync_all()?;
        Ok(kit::durable::rename(&part, copy)?)
    });
    if copied.is_err() {
        // The first error is the one to tell.
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
    // The log is written back into the file every 16 MiB rather than every 4: fewer pauses, and each page that changed often is
    // written once. What the log grew to in a burst is given back.
    connection.pragma_update(None, "wal_autocheckpoint", 16 * 1024)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    // Every key we write was read from its table in the same transaction or cached since; checking again costs a third of
    // the speed.
    connection.pragma_update(None, "foreign_keys", false)
}

/// Opens the file, which must be one of ours, for reading only.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    // The log is the writer's to write back and to delete, whoever closes last: at its path may be that of another file by then.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -2048)?;
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // One thread at a time uses a connection, so SQLite need not lock it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise a statement whose plan could depend on a bound value, such as a limit, is compiled anew each time it is run.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}
