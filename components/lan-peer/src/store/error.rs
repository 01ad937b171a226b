//! Errors of the store, and conversion of numbers.

/// A call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The limit of messages waiting for this peer is reached.
    #[error("{0} messages to this peer wait already")]
    QueueFull(u64),
    /// The file has reached its size limit, or the disk is full.
    #[error("the store is full (1 GiB), or its disk is: nothing more is taken in")]
    Full,
    /// Waiting messages were damaged; they are marked as failed, and the others are renumbered.
    #[error("{0} messages that waited for this peer are damaged and will not be sent")]
    Damaged(usize),
    /// SQLite failed.
    #[error("the store does not work")]
    Sqlite(#[source] rusqlite::Error),
    /// The database thread has ended.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            _ => Self::Sqlite(error),
        }
    }
}

/// Converts unsigned numbers to SQLite's signed integers bit by bit.
pub(super) fn to_sql(number: u64) -> i64 {
    number.cast_signed()
}

pub(super) fn from_sql(number: i64) -> u64 {
    number.cast_unsigned()
}
