//! The schema, and opening the file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use kit::durable;
use rusqlite::{Connection, TransactionBehavior};

use crate::private;

/// The current schema version; `PRAGMA user_version` of the file.
const VERSION: i64 = 3;
/// Most pages of the file: 1 GiB at 4 KiB. Beyond that messages are not accepted and not acknowledged.
pub(super) const MAX_PAGES: i64 = 1 << 18;

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

/// Added in version 2: nodes, and the streams to and from them.
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

/// Added in version 3: the size of each peer's messages, counting 512 bytes each beside the text, and whether the user ever wrote to the
/// peer.
const COUNTED: &str = "
CREATE TABLE room(
    peer TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL,
    wrote INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO room SELECT peer, sum(octet_length(body) + 512), max(outgoing) FROM messages GROUP BY peer;
CREATE TRIGGER room_taken AFTER INSERT ON messages BEGIN
    INSERT OR IGNORE INTO room VALUES(NEW.peer, 0, 0);
    UPDATE room SET bytes = bytes + octet_length(NEW.body) + 512, wrote = max(wrote, NEW.outgoing) WHERE peer = NEW.peer;
END;
CREATE TRIGGER room_given AFTER DELETE ON messages BEGIN
    UPDATE room SET bytes = bytes - octet_length(OLD.body) - 512 WHERE peer = OLD.peer;
END;
CREATE VIEW strangers AS
    SELECT key, last_seen, addresses, coalesce(bytes, 0) AS bytes FROM peers LEFT JOIN room ON peer = key
    WHERE trust IN ('clear', 'new', 'changed') AND given = '' AND out_seq = 0 AND coalesce(wrote, 0) = 0;
";

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// Another process uses it.
    #[error("another lan-peer works with this data directory")]
    Taken,
    /// A later version created it.
    #[error("the store is of version {0}, which is newer than this program")]
    Newer(i64),
    /// The thread could not be started.
    #[error("the store has no thread")]
    Thread(#[source] std::io::Error),
    /// The file must not be used, or cannot be copied.
    #[error("the store {0}")]
    File(PathBuf, #[source] std::io::Error),
    /// SQLite failed.
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

/// Opens the file exclusively; commits are durable.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    // SQLite creates its auxiliary files with the mode of this one.
    private::close_to_others(path).map_err(|error| OpenError::File(path.to_owned(), error))?;
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_millis(500))?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "max_page_count", MAX_PAGES, |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(64);
    // The first read takes the exclusive lock.
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let missing: &[&str] = match version {
        0 => &[TABLES, NUMBERED, COUNTED],
        1 => &[NUMBERED, COUNTED],
        2 => &[COUNTED],
        VERSION => &[],
        newer => return Err(OpenError::Newer(newer)),
    };
    if version > 0 && !missing.is_empty() {
        back_up(&connection, path, version)?;
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(&missing.concat())?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(connection)
}

/// Copies the file to `FILE.vN.bak` before a migration. The copy gets its name only once it is complete and durable.
fn back_up(connection: &Connection, path: &Path, version: i64) -> Result<(), OpenError> {
    let copy = backup_path(path, version);
    if copy.exists() {
        return Ok(());
    }
    let failed = |error| OpenError::File(copy.clone(), error);
    let part = durable::part_of(&copy);
    match std::fs::remove_file(&part) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    // SQLite treats an empty target like a missing one.
    let file = private::open(&part).map_err(failed)?;
    connection.execute("VACUUM INTO ?1", [part.to_string_lossy()])?;
    file.sync_all().and_then(|()| durable::rename(&part, &copy)).map_err(failed)?;
    tracing::info!(copy = %copy.display(), "migrating the store of an older version; made a copy first");
    Ok(())
}

fn backup_path(path: &Path, version: i64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".v{version}.bak"));
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn texts(connection: &Connection) -> Vec<String> {
        let mut statement = connection.prepare("SELECT body FROM messages ORDER BY row").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn an_older_file_is_copied_and_taken_over_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lan-peer.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(TABLES).unwrap();
        old.execute_batch(
            "PRAGMA user_version = 1;
             INSERT INTO peers(key, given, trust, last_seen) VALUES ('old:10.0.0.7', 'printer', 'clear', 7);
             INSERT INTO messages(peer, outgoing, body, sent, state) VALUES
                ('old:10.0.0.7', 0, 'one', 1, 'received'), ('old:10.0.0.7', 1, 'two', 2, 'sent');",
        )
        .unwrap();
        drop(old);
        // The remains of an interrupted attempt are not a backup.
        std::fs::write(durable::part_of(&backup_path(&path, 1)), "half of it").unwrap();
        let taken_over = open(&path).unwrap();
        assert_eq!(texts(&taken_over), ["one", "two"]);
        let row: (String, String, i64) = taken_over
            .query_row("SELECT given, addresses, out_seq FROM peers", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(row, ("printer".to_owned(), "[]".to_owned(), 0));
        let room: (i64, i64) = taken_over
            .query_row("SELECT bytes, wrote FROM room WHERE peer = 'old:10.0.0.7'", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(room, (2 * 512 + 6, 1));
        let version = "PRAGMA user_version";
        assert_eq!(taken_over.query_row(version, [], |row| row.get::<_, i64>(0)).unwrap(), VERSION);
        drop(taken_over);
        for file in [path.clone(), backup_path(&path, 1)] {
            assert_eq!(
                std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
                0o600,
                "{}",
                file.display()
            );
        }
        let copy = Connection::open(backup_path(&path, 1)).unwrap();
        assert_eq!(copy.query_row(version, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
        assert_eq!(texts(&copy), ["one", "two"]);

        let newer = open(&path).unwrap();
        newer.pragma_update(None, "user_version", VERSION + 1).unwrap();
        drop(newer);
        assert!(matches!(open(&path), Err(OpenError::Newer(version)) if version == VERSION + 1));
    }
}
