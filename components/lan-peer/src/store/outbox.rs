//! Outgoing messages to nodes: numbered when written, stored until acknowledged.

use protocol::lan::view::{Entry, State};
use protocol::lan::{NodeId, PeerKey};
use protocol::{Body, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use super::database::Store;
use super::error::{StoreError, from_sql, to_sql};
use super::history::find;
use super::trim::trim;

/// Most messages waiting for one peer. Overflow rule: sending fails.
const MAX_WAITING: u64 = 10_000;

/// The position in our stream to one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The stream's id.
    pub(crate) stream: u64,
    /// The lowest unacknowledged number; one past the last if there is none.
    pub(crate) first: u64,
    /// The last assigned number.
    pub(crate) last: u64,
}

/// An outgoing message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) seq: u64,
    pub(crate) id: Uuid,
    pub(crate) sent: Timestamp,
    pub(crate) body: Body,
}

impl Store {
    /// Stores a message to a node; once stored, it will be delivered despite any restarts.
    pub(crate) async fn enqueue(&self, peer: NodeId, body: Body) -> Result<Entry, StoreError> {
        self.call(move |connection| {
            let key = PeerKey::Node(peer);
            let transaction = connection.transaction()?;
            let position = position(&transaction, &key.to_string())?;
            let waiting = position.last.saturating_add(1).saturating_sub(position.first);
            if waiting >= MAX_WAITING {
                return Err(StoreError::QueueFull(waiting));
            }
            let seq = position.last.saturating_add(1);
            transaction
                .prepare_cached("UPDATE peers SET out_seq = ?2 WHERE key = ?1")?
                .execute(params![key.to_string(), to_sql(seq)])?;
            let sql = "INSERT INTO messages(peer, outgoing, seq, id, body, sent, state)
                VALUES(?1, 1, ?2, ?3, ?4, ?5, 'queued')";
            let (id, sent) = (Uuid::now_v7().to_string(), Timestamp::now());
            transaction.prepare_cached(sql)?.execute(params![
                key.to_string(),
                to_sql(seq),
                id,
                body.as_str(),
                sent.micros()
            ])?;
            let row = transaction.last_insert_rowid();
            trim(&transaction, &key.to_string(), row)?;
            transaction.commit()?;
            let body = body.as_str().to_owned();
            Ok(Entry { row, peer: key, body, sent, state: State::Queued, remark: None })
        })
        .await
    }

    /// The position in our stream to this peer. A new stream need not be synced: the first message with a number in it does that.
    pub(crate) async fn position(&self, peer: NodeId) -> Result<Position, StoreError> {
        self.call_unsynced(move |connection| {
            let transaction = connection.transaction()?;
            let position = position(&transaction, &PeerKey::Node(peer).to_string())?;
            transaction.commit()?;
            Ok(position)
        })
        .await
    }

    /// The waiting messages after `seq`, in order; at most `limit`. Damaged ones are marked as failed, the others are renumbered, and the
    /// result is [`StoreError::Damaged`].
    pub(crate) async fn waiting(
        &self,
        peer: NodeId,
        seq: u64,
        limit: usize,
    ) -> Result<Vec<Outgoing>, StoreError> {
        let damage = self.damage.clone();
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            let (found, damaged) = waiting(&transaction, peer, seq, limit)?;
            if damaged.is_empty() {
                return Ok(found);
            }
            // The recipient accepts only the next number, so a gap would block all that follow.
            let sql = "UPDATE messages SET state = 'failed', remark = 'damaged on this disk; not sent' WHERE row = ?1";
            for row in &damaged {
                damage.note("message", row);
                transaction.execute(sql, [row])?;
            }
            renumber(&transaction, &PeerKey::Node(peer).to_string())?;
            transaction.commit()?;
            Err(StoreError::Damaged(damaged.len()))
        })
        .await
    }

    /// Records that the peer has stored `stream` up to `seq`. Returns the messages that were delivered by that.
    pub(crate) async fn acknowledged(
        &self,
        peer: NodeId,
        stream: u64,
        seq: u64,
    ) -> Result<Vec<Entry>, StoreError> {
        let damage = self.damage.clone();
        self.call(move |connection| {
            let key = PeerKey::Node(peer).to_string();
            let transaction = connection.transaction()?;
            let position = position(&transaction, &key)?;
            if position.stream != stream || seq < position.first {
                return Ok(Vec::new());
            }
            let sql = "UPDATE messages SET state = 'delivered'
                WHERE peer = ?1 AND state = 'queued' AND seq <= ?2 RETURNING row";
            let rows: Vec<i64> = transaction
                .prepare_cached(sql)?
                .query_map(params![key, to_sql(seq.min(position.last))], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let entries = rows.into_iter().filter_map(|row| find(&transaction, row, &damage).transpose());
            let entries = entries.collect::<Result<Vec<Entry>, _>>()?;
            transaction.commit()?;
            Ok(entries)
        })
        .await
    }

    /// Starts a new stream, because the peer has more of the current one than we know of: our file was restored from an older copy.
    pub(crate) async fn renumber(&self, peer: NodeId) -> Result<Position, StoreError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            let position = renumber(&transaction, &PeerKey::Node(peer).to_string())?;
            transaction.commit()?;
            Ok(position)
        })
        .await
    }
}

fn renumber(transaction: &Transaction<'_>, key: &str) -> Result<Position, StoreError> {
    let rows: Vec<i64> = transaction
        .prepare("SELECT row FROM messages WHERE peer = ?1 AND state = 'queued' ORDER BY seq")?
        .query_map([key], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for (index, row) in (1i64..).zip(&rows) {
        transaction.execute("UPDATE messages SET seq = ?2 WHERE row = ?1", [row, &index])?;
    }
    let last = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let sql = "UPDATE peers SET out_stream = ?2, out_seq = ?3 WHERE key = ?1";
    transaction.execute(sql, params![key, to_sql(fresh_stream()), last])?;
    position(transaction, key)
}

/// The waiting messages, and the damaged rows.
fn waiting(
    connection: &Connection,
    peer: NodeId,
    seq: u64,
    limit: usize,
) -> Result<(Vec<Outgoing>, Vec<i64>), StoreError> {
    let sql = "SELECT row, seq, id, sent, body FROM messages
        WHERE peer = ?1 AND state = 'queued' AND seq > ?2 ORDER BY seq LIMIT ?3";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![PeerKey::Node(peer).to_string(), to_sql(seq), limit])?;
    let (mut found, mut damaged) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        match outgoing(row) {
            Some(message) => found.push(message),
            None => damaged.push(row.get(0)?),
        }
    }
    Ok((found, damaged))
}

/// The message of a row; `None` if it is damaged.
fn outgoing(row: &Row<'_>) -> Option<Outgoing> {
    let (id, body): (String, String) = (row.get(2).ok()?, row.get(4).ok()?);
    Some(Outgoing {
        seq: from_sql(row.get(1).ok()?),
        id: Uuid::parse_str(&id).ok()?,
        sent: Timestamp::from_micros(row.get(3).ok()?),
        body: Body::parse(&body).ok()?,
    })
}

/// The current stream; a new one if there is none.
fn position(transaction: &Transaction<'_>, key: &str) -> Result<Position, StoreError> {
    let read = "SELECT out_stream, out_seq FROM peers WHERE key = ?1";
    let found = transaction
        .prepare_cached(read)?
        .query_row([key], |row| Ok((from_sql(row.get(0)?), from_sql(row.get(1)?))))
        .optional()?;
    let (stream, last) = match found {
        Some((0, last)) => (begin(transaction, key)?, last),
        Some(known) => known,
        None => (begin(transaction, key)?, 0),
    };
    let lowest = "SELECT min(seq) FROM messages WHERE peer = ?1 AND state = 'queued'";
    let first: Option<i64> = transaction.prepare_cached(lowest)?.query_row([key], |row| row.get(0))?;
    Ok(Position { stream, first: first.map_or(last.saturating_add(1), from_sql), last })
}

fn begin(transaction: &Transaction<'_>, key: &str) -> Result<u64, StoreError> {
    let stream = fresh_stream();
    let sql = "INSERT INTO peers(key, trust, out_stream) VALUES(?1, 'new', ?2) ON CONFLICT(key) DO UPDATE SET out_stream = ?2";
    transaction.prepare_cached(sql)?.execute(params![key, to_sql(stream)])?;
    Ok(stream)
}

/// A new stream id: random, not 0 (which means none), and exact as a double for JavaScript.
fn fresh_stream() -> u64 {
    let random = getrandom::u64().unwrap_or_else(|_| Timestamp::now().micros().cast_unsigned());
    (random >> 11).max(1)
}
