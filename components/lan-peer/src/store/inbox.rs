//! What comes in: each message of a numbering once, and only when it is the next.

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

/// A message that a node has sent us.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub(crate) seq: u64,
    pub(crate) id: Uuid,
    pub(crate) sent: Timestamp,
    pub(crate) body: Body,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The last number that is on the disk.
    pub(crate) seq: u64,
    /// What was new.
    pub(crate) entries: Vec<Entry>,
}

impl Store {
    /// What we have of a peer's numbering. `first` is the lowest that it can still send: what lies before is not waited for. All of
    /// that they say again at the next connection; it is on the disk with the first message that is.
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

    /// Takes a batch in, as far as it goes on where we are.
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
                entries.extend(keep(&transaction, key, message)?);
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

/// Nothing when this id was there before, under another number: the sender's file is an older copy of itself.
fn keep(transaction: &Transaction<'_>, key: PeerKey, message: Incoming) -> Result<Option<Entry>, StoreError> {
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
