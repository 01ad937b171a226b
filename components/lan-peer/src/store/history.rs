//! Stored messages.

use std::sync::Arc;

use protocol::Timestamp;
use protocol::lan::PeerKey;
use protocol::lan::view::{Entry, State};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::damage::Damage;
use super::database::Store;
use super::error::StoreError;
use super::room::hold;
use super::trim::trim;

const COLUMNS: &str = "row, peer, body, sent, state, remark";

/// A message to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// The peer.
    pub(crate) peer: PeerKey,
    /// The text.
    pub(crate) body: String,
    /// Its delivery state.
    pub(crate) state: State,
    /// Our note about faults of the message.
    pub(crate) remark: Option<String>,
}

impl Store {
    /// Stores a message.
    pub(crate) async fn insert_message(&self, draft: Draft) -> Result<Entry, StoreError> {
        let quota = Arc::clone(&self.quota);
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
            let mut deleted = None;
            if state == State::Received {
                let known = "INSERT OR IGNORE INTO peers(key, trust) VALUES(?1, 'clear')";
                transaction.prepare_cached(known)?.execute([&key])?;
                deleted = Some(hold(&transaction, &key, &quota)?);
            }
            transaction.commit()?;
            deleted.into_iter().for_each(|deleted| quota.note(deleted));
            Ok(Entry { row, peer, body, sent, state, remark })
        })
        .await
    }

    /// The last `limit` messages with a peer before the row `before`, oldest first.
    pub(crate) async fn history(
        &self,
        peer: PeerKey,
        before: i64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let damage = self.damage.clone();
        self.call(move |connection| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let sql = format!(
                "SELECT {COLUMNS} FROM messages WHERE peer = ?1 AND row < ?2 ORDER BY row DESC LIMIT ?3"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows =
                statement.query_map(params![peer.to_string(), before, limit], |row| read(row, &damage))?;
            let mut found: Vec<Entry> = rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
            found.reverse();
            Ok(found)
        })
        .await
    }

    /// The texts of the last `limit` received messages, oldest first.
    pub(crate) async fn texts(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        let damage = self.damage.clone();
        self.call(move |connection| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let sql = "SELECT row, body FROM messages WHERE outgoing = 0 ORDER BY row DESC LIMIT ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let texts = statement.query_map([limit], |row| {
                let text: Option<String> = row.get(1).ok();
                if text.is_none() {
                    damage.note("message", &row.get::<_, i64>(0)?);
                }
                Ok(text)
            })?;
            let mut texts: Vec<String> =
                texts.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
            texts.reverse();
            Ok(texts)
        })
        .await
    }
}

/// The entry of a row; `None` if it is damaged, which is logged and counted.
fn read(row: &Row<'_>, damage: &Damage) -> rusqlite::Result<Option<Entry>> {
    let number: i64 = row.get(0)?;
    let found = entry(row, number);
    if found.is_none() {
        damage.note("message", &number);
    }
    Ok(found)
}

fn entry(row: &Row<'_>, number: i64) -> Option<Entry> {
    let (peer, state): (String, String) = (row.get(1).ok()?, row.get(4).ok()?);
    Some(Entry {
        row: number,
        peer: peer.parse().ok()?,
        body: row.get(2).ok()?,
        sent: Timestamp::from_micros(row.get(3).ok()?),
        state: state_of(&state)?,
        remark: row.get(5).ok()?,
    })
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
pub(super) fn find(connection: &Connection, row: i64, damage: &Damage) -> Result<Option<Entry>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM messages WHERE row = ?1");
    let found = connection.prepare_cached(&sql)?.query_row([row], |row| read(row, damage)).optional()?;
    Ok(found.flatten())
}
