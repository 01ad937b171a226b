//! Why a database file could not be opened.

use std::path::{Path, PathBuf};

use kit::Exit;
use rusqlite::ErrorCode;

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
    /// It is gone as soon as it was opened.
    #[error(transparent)]
    Moved(Box<dyn std::error::Error + Send + Sync>),
    /// An older file could not be migrated; it is as it was.
    #[error("'{}' is of an older version, and the new file cannot be written beside it", .path.display())]
    Migration {
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
            Self::Log { .. } | Self::Moved(_) | Self::Migration { .. } | Self::Other { .. } => Exit::Failure,
        }
    }

    pub(crate) fn from_sqlite(path: &Path, source: rusqlite::Error) -> Self {
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
