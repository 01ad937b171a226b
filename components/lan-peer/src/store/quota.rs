//! How much room strangers may take: nobody who only talks to us can keep out those whom people here know.
//!
//! A stranger is who was not verified, blocked or given a name here, and whom nobody here ever wrote to: a new key costs nothing.
//! Bounds: [`STRANGER`] for each, [`STRANGERS`] for all of them together, and [`RESERVED`] pages of the file for what people here write.
//! Overflow rule: a stranger that says more loses its own oldest messages; where all together have too much, the one that has most loses
//! its oldest ones. When the file is nearly full strangers lose all, and then nothing more is taken in: it is not acknowledged, and waits
//! on the sender's disk.

use rusqlite::{Connection, OptionalExtension, params};

use super::schema::MAX_PAGES;
use super::{StoreError, history};

/// Bytes of one stranger's messages, 512 for each message beside its text.
pub(super) const STRANGER: i64 = 2 << 20;
/// Bytes of all strangers' messages together.
pub(super) const STRANGERS: i64 = 64 << 20;
/// Pages that are left for what people here write: 128 MiB.
const RESERVED: i64 = MAX_PAGES / 8;
/// Messages dropped at once.
const STEP: usize = 32;
/// Most steps for one batch, which is 64 messages: more is dropped than comes, and nobody waits long for it.
const STEPS: usize = 16;

/// Makes room after something of this peer was taken in, in the same transaction. Returns how many messages were dropped for it.
pub(super) fn hold(connection: &Connection, peer: &str) -> Result<usize, StoreError> {
    let mut dropped = 0;
    for _ in 0..STEPS {
        let victim = match too_much_of(connection, peer)? {
            Some(victim) => Some(victim),
            None if is_nearly_full(connection)? => Some(largest(connection)?.ok_or(StoreError::Full)?),
            None => None,
        };
        let Some(victim) = victim else { break };
        dropped += history::drop_oldest(connection, &victim, STEP)?;
    }
    Ok(dropped)
}

/// Which stranger has to lose something: this one, or the one that has most.
fn too_much_of(connection: &Connection, peer: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT bytes FROM strangers WHERE key = ?1";
    let bytes: Option<i64> =
        connection.prepare_cached(sql)?.query_row([peer], |row| row.get(0)).optional()?;
    let Some(bytes) = bytes else { return Ok(None) };
    if bytes > STRANGER {
        return Ok(Some(peer.to_owned()));
    }
    let sql = "SELECT coalesce(sum(bytes), 0) FROM strangers";
    let together: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    if together > STRANGERS { largest(connection) } else { Ok(None) }
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
