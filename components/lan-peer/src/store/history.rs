//! What was said.

use protocol::Timestamp;
use protocol::lan::PeerKey;
use protocol::lan::view::{Entry, State};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Store, StoreError};

/// How many messages of one conversation are kept, beside those that wait; the oldest go.
const MAX_KEPT: i64 = 1000;
/// The old messages are looked for once in so many.
const TRIM_EVERY: i64 = 64;

const COLUMNS: &str = "row, peer, body, sent, state, remark";

/// A message to be kept.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// With whom.
    pub(crate) peer: PeerKey,
    /// The text.
    pub(crate) body: String,
    /// Whether it came in, or what became of it.
    pub(crate) state: State,
    /// Said by us about it.
    pub(crate) remark: Option<String>,
}

impl Store {
    /// Keeps a message.
    pub(crate) async fn keep(&self, draft: Draft) -> Result<Entry, StoreError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            let Draft { peer, body, state, remark } = draft;
            let (key, sent, outgoing) = (peer.to_string(), Timestamp::now(), state != State::Received);
            let sql = "INSERT INTO messages(peer, outgoing, body, sent, state, remark) VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
            transaction
                .prepare_cached(sql)?
                .execute(params![key, outgoing, body, sent.micros(), state_text(state), remark])?;
            let row = transaction.last_insert_rowid();
            trim(&transaction, &key, row)?;
            transaction.commit()?;
            Ok(Entry { row, peer, body, sent, state, remark })
        })
        .await
    }

    /// The last `limit` messages with a peer before the row `before`, the oldest first.
    pub(crate) async fn history(
        &self,
        peer: PeerKey,
        before: i64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.call(move |connection| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let sql = format!(
                "SELECT {COLUMNS} FROM messages WHERE peer = ?1 AND row < ?2 ORDER BY row DESC LIMIT ?3"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params![peer.to_string(), before, limit], read)?;
            let mut found: Vec<Entry> = rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
            found.reverse();
            Ok(found)
        })
        .await
    }

    /// The texts of the last `limit` messages that came in, the oldest first.
    pub(crate) async fn texts(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        self.call(move |connection| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let sql = "SELECT body FROM messages WHERE outgoing = 0 ORDER BY row DESC LIMIT ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let texts = statement.query_map([limit], |row| row.get(0))?;
            let mut texts = texts.collect::<Result<Vec<String>, _>>()?;
            texts.reverse();
            Ok(texts)
        })
        .await
    }
}

/// A row that a hand has spoilt is passed over.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<Entry>> {
    let (peer, state): (String, String) = (row.get(1)?, row.get(4)?);
    let (Ok(peer), Some(state)) = (peer.parse(), state_of(&state)) else { return Ok(None) };
    Ok(Some(Entry {
        row: row.get(0)?,
        peer,
        body: row.get(2)?,
        sent: Timestamp::from_micros(row.get(3)?),
        state,
        remark: row.get(5)?,
    }))
}

fn state_text(state: State) -> &'static str {
    match state {
        State::Received => "received",
        State::Queued => "queued",
        State::Delivered => "delivered",
        State::Sent => "sent",
        State::Failed => "failed",
    }
}

fn state_of(text: &str) -> Option<State> {
    [State::Received, State::Queued, State::Delivered, State::Sent, State::Failed]
        .into_iter()
        .find(|state| state_text(*state) == text)
}

/// The message of a row.
pub(super) fn find(connection: &Connection, row: i64) -> Result<Option<Entry>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM messages WHERE row = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([row], read).optional()?.flatten())
}

/// Drops the oldest messages of a conversation that has grown too long; never one that waits.
pub(super) fn trim(connection: &Connection, peer: &str, row: i64) -> Result<(), StoreError> {
    if row % TRIM_EVERY != 0 {
        return Ok(());
    }
    let sql = "DELETE FROM messages WHERE peer = ?1 AND state <> 'queued' AND row <= (
        SELECT row FROM messages WHERE peer = ?1 ORDER BY row DESC LIMIT 1 OFFSET ?2)";
    connection.prepare_cached(sql)?.execute(params![peer, MAX_KEPT])?;
    Ok(())
}
