//! The tables, and how the file is opened.

use std::path::Path;

use rusqlite::Connection;

/// The newest version of the tables; `PRAGMA user_version` of the file.
const VERSION: i64 = 2;
/// The file takes at most 1 GiB (pages of 4 KiB). Beyond that nothing more is taken in, and nobody is told that it was.
const MAX_PAGES: i64 = 1 << 18;

const TABLES: &str = "
CREATE TABLE peers(
    key TEXT PRIMARY KEY,
    given TEXT NOT NULL DEFAULT '',
    trust TEXT NOT NULL,
    last_seen INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE messages(
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    peer TEXT NOT NULL,
    outgoing INTEGER NOT NULL,
    body TEXT NOT NULL,
    sent INTEGER NOT NULL,
    state TEXT NOT NULL,
    remark TEXT
) STRICT;
CREATE INDEX messages_by_peer ON messages(peer, row);
CREATE INDEX messages_that_came ON messages(row) WHERE outgoing = 0;
";

/// What version 2 has besides: nodes of ours, and the numbering of what is said to them and by them.
const NUMBERED: &str = "
ALTER TABLE peers ADD COLUMN claimed TEXT NOT NULL DEFAULT '';
ALTER TABLE peers ADD COLUMN addresses TEXT NOT NULL DEFAULT '[]';
ALTER TABLE peers ADD COLUMN in_stream INTEGER NOT NULL DEFAULT 0;
ALTER TABLE peers ADD COLUMN in_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE peers ADD COLUMN out_stream INTEGER NOT NULL DEFAULT 0;
ALTER TABLE peers ADD COLUMN out_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN seq INTEGER;
ALTER TABLE messages ADD COLUMN id TEXT;
CREATE UNIQUE INDEX messages_by_id ON messages(peer, outgoing, id);
CREATE INDEX messages_waiting ON messages(peer, seq) WHERE state = 'queued';
";

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// Another process has it.
    #[error("another lan-peer works with this data directory")]
    Taken,
    /// A later version made it.
    #[error("the store is of version {0}, which is newer than this program")]
    Newer(i64),
    /// The system has no thread for it.
    #[error("the store has no thread")]
    Thread(#[source] std::io::Error),
    /// SQLite says no.
    #[error("the store cannot be opened")]
    Sqlite(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => Self::Taken,
            _ => Self::Sqlite(error),
        }
    }
}

/// Opens the file for this process alone: what is committed is on the disk.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_millis(500))?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "max_page_count", MAX_PAGES, |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(64);
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match version {
        0 => transaction.execute_batch(&[TABLES, NUMBERED].concat())?,
        1 => transaction.execute_batch(NUMBERED)?,
        VERSION => {}
        newer => return Err(OpenError::Newer(newer)),
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(connection)
}
