//! Deletes the oldest messages.

use rusqlite::{Connection, params};

use super::error::StoreError;

/// Most messages of one conversation, not counting waiting ones; the oldest are deleted.
const MAX_KEPT: i64 = 1000;
/// A conversation is trimmed once in this many messages.
const TRIM_EVERY: i64 = 64;

/// Deletes the oldest messages from a peer, at most `count` and at most a quarter of them. Returns how many.
pub(super) fn drop_oldest(connection: &Connection, peer: &str, count: usize) -> Result<usize, StoreError> {
    let sql = "DELETE FROM messages WHERE row IN (SELECT row FROM messages WHERE peer = ?1 AND outgoing = 0 ORDER BY row
        LIMIT min(?2, (SELECT (count(*) + 3) / 4 FROM messages WHERE peer = ?1 AND outgoing = 0)))";
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    Ok(connection.prepare_cached(sql)?.execute(params![peer, count])?)
}

/// Deletes the oldest messages of a conversation over the limit; never waiting ones.
pub(super) fn trim(connection: &Connection, peer: &str, row: i64) -> Result<(), StoreError> {
    if row % TRIM_EVERY != 0 {
        return Ok(());
    }
    let sql = "DELETE FROM messages WHERE peer = ?1 AND state <> 'queued' AND row <= (
        SELECT row FROM messages WHERE peer = ?1 ORDER BY row DESC LIMIT 1 OFFSET ?2)";
    connection.prepare_cached(sql)?.execute(params![peer, MAX_KEPT])?;
    Ok(())
}
