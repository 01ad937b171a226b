//! Why a database file could not be opened.

use std::path::{Path, PathBuf};

use kit::Exit;
use rusqlite::ErrorCode;

use super::schema;
use super::way_back::WayBack;

/// A database file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SqliteOpenError {
    /// It is a file of another program.
    #[error("'{}' is not a database of P2P Chat; name another file in store.url", .0.display())]
    Foreign(PathBuf),
    /// It is a store, and incomplete.
    #[error("'{}' is damaged; put a copy in its place, or name another file in store.url", .path.display())]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// What shows the damage.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A newer version made it.
    #[error(
        "'{}' was made by a newer P2P Chat (schema {found}, this one knows {known}); update this program{}",
        .path.display(),
        .way_back.as_ref().map_or_else(String::new, |way| format!(", or {way}"))
    )]
    Newer {
        /// Path of the file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// The newest version that this program knows.
        known: usize,
        /// The copy that this program can open, if there is one.
        way_back: Option<WayBack>,
    },
    /// It cannot be created or written.
    #[error("'{}' cannot be opened for writing; check the directory and its rights", .path.display())]
    NotWritable {
        /// Path of the file.
        path: PathBuf,
        /// The underlying error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The disk is full.
    #[error("no room left on the disk of '{}'", .0.display())]
    Full(PathBuf),
    /// The content of its log cannot be made durable.
    #[error("the log of '{}' cannot be written", .path.display())]
    Log {
        /// Path of the file.
        path: PathBuf,
        /// The underlying error.
        #[source]
        source: std::io::Error,
    },
    /// It was moved or deleted right after it was opened.
    #[error(transparent)]
    Moved(Box<dyn std::error::Error + Send + Sync>),
    /// An older file could not be migrated; it is unchanged.
    #[error("'{}' is of an older version, and the new file cannot be written beside it", .path.display())]
    Migration {
        /// Path of the file.
        path: PathBuf,
        /// The underlying error.
        #[source]
        source: std::io::Error,
    },
    /// Another error of SQLite.
    #[error("cannot open '{}'", .path.display())]
    Other {
        /// Path of the file.
        path: PathBuf,
        /// The underlying error.
        #[source]
        source: rusqlite::Error,
    },
}

impl SqliteOpenError {
    /// The exit code: a file that needs an operator is a configuration error.
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

    /// For a file of the newer version `found`.
    pub(super) fn newer(path: &Path, found: usize) -> Self {
        Self::Newer { path: path.to_owned(), found, known: schema::VERSION, way_back: WayBack::of(path) }
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
