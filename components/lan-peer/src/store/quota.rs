//! How much room strangers may take: nobody who only talks to us can keep out those whom people here know.
//!
//! A stranger is who was not verified, blocked or given a name here, and whom nobody here ever wrote to: a new key costs nothing.
//! Bounds: [`Quota::together`] for all of them, which an operator may set, a [`SHARE`]th of it for each, and [`RESERVED`] pages of the file
//! for what people here write. Overflow rule: a stranger that says more loses its own oldest messages; where all together have too much,
//! the one that has most loses its oldest ones. When the file is nearly full strangers lose all, and then nothing more is taken in: it is
//! not acknowledged, and waits on the sender's disk. What was deleted, also with a stranger that had to go, is counted, and logged at once and then once in [`TELL`].

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kit::metrics::Counter;
use rusqlite::{Connection, OptionalExtension, params};

use super::people::MAX_STRANGERS;
use super::schema::MAX_PAGES;
use super::{StoreError, history};

/// Bytes of all strangers' messages together, in MiB, where nothing else is set; 512 bytes for each message beside its text.
pub(crate) const DEFAULT_MIB: u32 = 64;
/// One stranger has this part of that.
const SHARE: i64 = 32;
/// Pages that are left for what people here write: 128 MiB.
const RESERVED: i64 = MAX_PAGES / 8;
/// Messages dropped at once.
const STEP: usize = 32;
/// Most steps for one batch, which is 64 messages: more is dropped than comes, and nobody waits long for it.
const STEPS: usize = 16;
/// That messages are deleted is logged this often.
const TELL: Duration = Duration::from_secs(60);

/// Messages of strangers that were deleted, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deleted {
    pub(super) count: usize,
    pub(super) why: Why,
}

/// Why room was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// One of them, or all together, sent more than is kept.
    Much,
    /// There were more of them than are kept.
    Many,
    /// The file is nearly full.
    Full,
}

/// What strangers may take, and what they lost.
#[derive(Debug)]
pub(crate) struct Quota {
    /// Bytes of all of them together.
    together: i64,
    dropped: Counter,
    /// When deletions were logged last, and how many came after that.
    told: Mutex<(Option<Instant>, usize)>,
}

impl Quota {
    /// So much for all of them together.
    pub(crate) fn new(mib: u32) -> Self {
        Self { together: i64::from(mib) << 20, dropped: Counter::default(), told: Mutex::default() }
    }

    /// Messages of strangers that were deleted to make room.
    pub(crate) fn dropped(&self) -> &Counter {
        &self.dropped
    }

    /// Called once that is on the disk.
    pub(super) fn note(&self, Deleted { count, why }: Deleted) {
        if count == 0 {
            return;
        }
        self.dropped.add(count);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, untold) = &mut *told;
        *untold += count;
        if at.is_none_or(|at| at.elapsed() >= TELL) {
            let deleted = std::mem::take(untold);
            *at = Some(Instant::now());
            let reason = match why {
                Why::Much => {
                    format!("they sent more than is kept (lan-peer.strangers-mib = {})", self.together >> 20)
                }
                Why::Many => format!("more than {MAX_STRANGERS} of them sent some"),
                Why::Full => "the store is nearly full".to_owned(),
            };
            tracing::warn!(
                deleted,
                "deleted messages of strangers: {reason}; those of peers that you wrote to, named or verified are kept"
            );
        }
    }
}

/// Makes room after something of this peer was taken in, in the same transaction.
pub(super) fn hold(connection: &Connection, peer: &str, quota: &Quota) -> Result<Deleted, StoreError> {
    let mut deleted = Deleted { count: 0, why: Why::Much };
    for _ in 0..STEPS {
        let victim = match too_much_of(connection, peer, quota.together)? {
            Some(victim) => Some(victim),
            None if is_nearly_full(connection)? => {
                deleted.why = Why::Full;
                Some(largest(connection)?.ok_or(StoreError::Full)?)
            }
            None => None,
        };
        let Some(victim) = victim else { break };
        deleted.count += history::drop_oldest(connection, &victim, STEP)?;
    }
    Ok(deleted)
}

/// Which stranger has to lose something: this one, or the one that has most.
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
