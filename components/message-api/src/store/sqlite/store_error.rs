//! Converts SQLite errors to store errors.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// An error that an operator can act on. The path is for the log, not for the client.
pub(super) fn store_error(path: &Path, error: rusqlite::Error) -> StoreError {
    let detail = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; nothing can be stored until there is room",
        Some(ErrorCode::SystemIoFailure) => "the disk reports an error",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => "the database file cannot be opened or written",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds a lock on the database file ('fuser FILE' names it)"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "the database file is damaged",
        Some(_) => "the database reports an error",
        None => return of_row(path, error),
    };
    let is_damaged =
        matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase));
    let source = At { path: path.to_owned(), source: error };
    if is_damaged { StoreError::damaged(detail, source) } else { StoreError::because(detail, source) }
}

/// A row differs from what was written, or the statement is wrong.
fn of_row(path: &Path, error: rusqlite::Error) -> StoreError {
    let is_damaged = matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::QueryReturnedNoRows
    );
    let source = At { path: path.to_owned(), source: error };
    if is_damaged {
        StoreError::damaged("something in the database file is damaged", source)
    } else {
        StoreError::because("the database reports an error", source)
    }
}

/// An error with the path of its file.
#[derive(Debug, thiserror::Error)]
#[error("'{}'", path.display())]
struct At {
    path: PathBuf,
    #[source]
    source: rusqlite::Error,
}
