//! Why the store did not do something, and its numbers.

/// A call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// As many messages to this peer wait as may.
    #[error("{0} messages to this peer wait already")]
    QueueFull(u64),
    /// The file has the size that it may have, or the disk is full.
    #[error("the store is full (1 GiB), or its disk is: nothing more is taken in")]
    Full,
    /// Messages that waited were damaged; they are marked as failed, and the numbering begins anew without them.
    #[error("{0} messages that waited for this peer are damaged and will not be sent")]
    Damaged(usize),
    /// SQLite says no.
    #[error("the store does not work")]
    Sqlite(#[source] rusqlite::Error),
    /// The thread is gone.
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

/// Wire numbers in SQLite's integers: the same bits.
pub(super) fn to_sql(number: u64) -> i64 {
    number.cast_signed()
}

pub(super) fn from_sql(number: i64) -> u64 {
    number.cast_unsigned()
}
