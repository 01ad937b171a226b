//! Incoming messages: each number of a stream is stored once, and only in order.

use std::sync::Arc;

use protocol::lan::view::{Entry, State};
use protocol::lan::{NodeId, PeerKey};
use protocol::{Body, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::database::Store;
use super::error::{StoreError, from_sql, to_sql};
use super::room::hold;
use super::trim::trim;

/// A message from a node.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub(crate) seq: u64,
    pub(crate) id: Uuid,
    pub(crate) sent: Timestamp,
    pub(crate) body: Body,
}

/// The result of storing a batch.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The last number on disk.
    pub(crate) seq: u64,
    /// The new messages.
    pub(crate) entries: Vec<Entry>,
}

impl Store {
    /// The last stored number of a peer's stream. `first` is the lowest that the peer can still send; earlier ones are not expected. This
    /// is not synced by itself, because the peer repeats it at the next connection.
    pub(crate) async fn joined(&self, peer: NodeId, stream: u64, first: u64) -> Result<u64, StoreError> {
        self.call_unsynced(move |connection| {
            let key = PeerKey::Node(peer).to_string();
            let transaction = connection.transaction()?;
            let (known, had) = have(&transaction, &key)?;
            let had = if known == stream { had } else { 0 };
            let seq = had.max(first.saturating_sub(1));
            if known != stream || seq != had {
                note(&transaction, &key, stream, seq)?;
            }
            transaction.commit()?;
            Ok(seq)
        })
        .await
    }

    /// Stores the part of a batch that continues the stream.
    pub(crate) async fn take_in(
        &self,
        peer: NodeId,
        stream: u64,
        batch: Vec<Incoming>,
    ) -> Result<Taken, StoreError> {
        let quota = Arc::clone(&self.quota);
        self.call(move |connection| {
            let key = PeerKey::Node(peer);
            let transaction = connection.transaction()?;
            let (known, mut seq) = have(&transaction, &key.to_string())?;
            if known != stream {
                return Ok(Taken { seq: 0, entries: Vec::new() });
            }
            let mut entries = Vec::new();
            for message in batch {
                if seq.checked_add(1) != Some(message.seq) {
                    continue;
                }
                seq = message.seq;
                entries.extend(save(&transaction, key, message)?);
            }
            if let Some(last) = entries.last() {
                trim(&transaction, &key.to_string(), last.row)?;
            }
            note(&transaction, &key.to_string(), stream, seq)?;
            let is_more = !entries.is_empty();
            let deleted = is_more.then(|| hold(&transaction, &key.to_string(), &quota)).transpose()?;
            transaction.commit()?;
            deleted.into_iter().for_each(|deleted| quota.note(deleted));
            Ok(Taken { seq, entries })
        })
        .await
    }
}

/// `None` if this id is already stored under another number: the sender's file was restored from an older copy.
fn save(transaction: &Transaction<'_>, key: PeerKey, message: Incoming) -> Result<Option<Entry>, StoreError> {
    let sql = "INSERT OR IGNORE INTO messages(peer, outgoing, seq, id, body, sent, state)
        VALUES(?1, 0, ?2, ?3, ?4, ?5, 'received')";
    let Incoming { seq, id, sent, body } = message;
    let body = body.as_str().to_owned();
    let new = transaction.prepare_cached(sql)?.execute(params![
        key.to_string(),
        to_sql(seq),
        id.to_string(),
        body,
        sent.micros()
    ])?;
    let row = transaction.last_insert_rowid();
    Ok((new == 1).then_some(Entry { row, peer: key, body, sent, state: State::Received, remark: None }))
}

fn have(transaction: &Transaction<'_>, key: &str) -> Result<(u64, u64), StoreError> {
    let sql = "SELECT in_stream, in_seq FROM peers WHERE key = ?1";
    let found = transaction
        .prepare_cached(sql)?
        .query_row([key], |row| Ok((from_sql(row.get(0)?), from_sql(row.get(1)?))))
        .optional()?;
    Ok(found.unwrap_or((0, 0)))
}

fn note(transaction: &Transaction<'_>, key: &str, stream: u64, seq: u64) -> Result<(), StoreError> {
    let sql = "INSERT INTO peers(key, trust, in_stream, in_seq) VALUES(?1, 'new', ?2, ?3)
        ON CONFLICT(key) DO UPDATE SET in_stream = ?2, in_seq = ?3";
    transaction.prepare_cached(sql)?.execute(params![key, to_sql(stream), to_sql(seq)])?;
    Ok(())
}
