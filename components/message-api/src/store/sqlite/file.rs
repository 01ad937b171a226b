//! Opens the database file: whether it is ours, of which version, and why not; and makes sure that what is found in it is on the disk.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kit::Exit;
use protocol::native::Durability;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::schema::{self, Version};

/// Another process holds the file only for moments: a backup, or somebody looking into it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// More prepared statements than there are in this program.
const STATEMENTS: usize = 64;

/// A database file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SqliteOpenError {
    /// It is some other file.
    #[error("'{}' is not a database of P2P Chat; name another file in store.url", .0.display())]
    Foreign(PathBuf),
    /// It was ours and is not whole.
    #[error("'{}' is damaged; put a copy in its place, or name another file in store.url", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What shows it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A later program made it.
    #[error(
        "'{}' was made by a newer P2P Chat (schema {found}, this one knows {known}); update this program",
        .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// It cannot be made or written.
    #[error("'{}' cannot be opened for writing; check the directory and its rights", .path.display())]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No room.
    #[error("no room left on the disk of '{}'", .0.display())]
    Full(PathBuf),
    /// What was found in the log beside it cannot be made durable.
    #[error("the log of '{}' cannot be written", .path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// SQLite says something else.
    #[error("cannot open '{}'", .path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
}

impl SqliteOpenError {
    /// What the process should end with: a file that will not change by itself is a matter of configuration.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Foreign(_) | Self::Damaged { .. } | Self::Newer { .. } | Self::NotWritable { .. } => {
                Exit::Config
            }
            Self::Full(_) => Exit::Unavailable,
            Self::Log { .. } | Self::Other { .. } => Exit::Failure,
        }
    }

    fn from_sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Foreign(path),
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, source: Box::new(source) },
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Self::NotWritable { path, source: Box::new(source) }
            }
            Some(ErrorCode::DiskFull) => Self::Full(path),
            _ => Self::Other { path, source },
        }
    }
}

/// Opens the file for writing, makes it where there is none, and migrates an older one.
pub(super) fn open(path: &Path, durability: Durability) -> Result<Connection, SqliteOpenError> {
    create(path)?;
    let mut connection = connect(path).map_err(|error| SqliteOpenError::from_sqlite(path, error))?;
    match schema::version(&connection).map_err(|error| SqliteOpenError::from_sqlite(path, error))? {
        Version::Foreign => return Err(SqliteOpenError::Foreign(path.to_owned())),
        Version::Newer(found) => {
            return Err(SqliteOpenError::Newer { path: path.to_owned(), found, known: schema::current() });
        }
        Version::Empty | Version::Ours(_) => {}
    }
    prepare(&mut connection, path, durability).map_err(|error| SqliteOpenError::from_sqlite(path, error))?;
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
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    let fence = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    write_again(Path::new(&name)).map_err(|source| SqliteOpenError::Log { path: path.to_owned(), source })?;
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

/// Made by us rather than by SQLite, so that nobody else may read what is said; SQLite gives its other files the same rights.
fn create(path: &Path) -> Result<(), SqliteOpenError> {
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    match opened {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            Err(SqliteOpenError::Full(path.to_owned()))
        }
        Err(source) => Err(SqliteOpenError::NotWritable { path: path.to_owned(), source: Box::new(source) }),
    }
}

fn prepare(connection: &mut Connection, path: &Path, durability: Durability) -> rusqlite::Result<()> {
    // Only a file that is still empty takes this. A commit writes every page it changed to the log, and each conversation's
    // index entries are on a page of their own: with small pages a commit is a fourth of the size, and twice as fast or more.
    connection.pragma_update(None, "page_size", 1024)?;
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
    connection.pragma_update(None, "foreign_keys", false)?;
    match schema::version(connection)? {
        Version::Ours(version) if version < schema::current() => {
            let copy = schema::back_up(connection, path, version)?;
            tracing::info!(from = version, to = schema::current(), backup = %copy.display(), "migrating the store");
            schema::migrate(connection, version)
        }
        Version::Empty => schema::migrate(connection, 0),
        Version::Ours(_) | Version::Newer(_) | Version::Foreign => Ok(()),
    }
}

/// Opens the file, which must be one of ours, for reading only.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
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
