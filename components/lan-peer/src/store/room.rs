//! Enforces the quota: chooses and deletes messages. The bounds: [`super::quota`].

use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::quota::{Deleted, Quota, Reason};
use super::schema::MAX_PAGES;
use super::trim::drop_oldest;

/// One stranger's share is the quota divided by this.
const SHARE: i64 = 32;
/// Pages reserved for the user's own messages: 128 MiB.
const RESERVED: i64 = MAX_PAGES / 8;
/// Messages deleted per step.
const STEP: usize = 32;
/// Most steps for one batch of 64 messages: more is deleted than arrives, and the delay is bounded.
const STEPS: usize = 16;
/// Makes room after messages of this peer were stored, in the same transaction.
pub(super) fn hold(connection: &Connection, peer: &str, quota: &Quota) -> Result<Deleted, StoreError> {
    let mut deleted = Deleted { count: 0, why: Reason::TooMuch };
    for _ in 0..STEPS {
        let victim = match too_much_of(connection, peer, quota.together)? {
            Some(victim) => Some(victim),
            None if is_nearly_full(connection)? => {
                deleted.why = Reason::NearlyFull;
                Some(largest(connection)?.ok_or(StoreError::Full)?)
            }
            None => None,
        };
        let Some(victim) = victim else { break };
        deleted.count += drop_oldest(connection, &victim, STEP)?;
    }
    Ok(deleted)
}

/// The stranger whose messages are deleted: this one, or the largest.
fn too_much_of(connection: &Connection, peer: &str, most: i64) -> Result<Option<String>, StoreError> {
    let sql = "SELECT bytes FROM strangers WHERE key = ?1";
    let bytes: Option<i64> =
        connection.prepare_cached(sql)?.query_row([peer], |row| row.get(0)).optional()?;
    let Some(bytes) = bytes else { return Ok(None) };
    if bytes > most / SHARE {
        return Ok(Some(peer.to_owned()));
    }
    let sql = "SELECT coalesce(sum(bytes), 0) FROM strangers";
    let together: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    if together > most { largest(connection) } else { Ok(None) }
}

fn largest(connection: &Connection) -> Result<Option<String>, StoreError> {
    let sql = "SELECT key FROM strangers WHERE bytes > 0 ORDER BY bytes DESC LIMIT 1";
    Ok(connection.prepare_cached(sql)?.query_row(params![], |row| row.get(0)).optional()?)
}

fn is_nearly_full(connection: &Connection) -> Result<bool, StoreError> {
    let number = |sql| -> Result<i64, StoreError> {
        Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    };
    Ok(number("PRAGMA page_count")? - number("PRAGMA freelist_count")? > MAX_PAGES - RESERVED)
}
