//! The schema: the table that other programs read, and our own tables.
//!
//! `messages` has their format: the local user is `Me`, times are UTC in seconds. Further data of a message is in `p2p_messages` under the
//! same id. Rows that only they wrote are adopted when the file is opened. Of rows that they deleted we retain the id, so that those
//! messages are not fetched again.

use protocol::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::entry::{State, key_of};

/// The user's name in `messages`.
pub(crate) const ME: &str = "Me";
/// Positions of adopted messages precede those of the server's log, because they are older.
const ADOPTED: i64 = -(1 << 60);
/// The schema version of our tables.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS messages(
    id INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT, receiver TEXT, message TEXT,
    timestamp DATETIME DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE IF NOT EXISTS p2p_messages(
    message_id INTEGER PRIMARY KEY, partner TEXT NOT NULL, partner_key TEXT NOT NULL, place INTEGER NOT NULL,
    outgoing INTEGER NOT NULL, said INTEGER NOT NULL, state TEXT NOT NULL, seq INTEGER, event_id TEXT UNIQUE,
    client_id TEXT, kind TEXT NOT NULL DEFAULT 'chat', metadata TEXT NOT NULL DEFAULT '{}',
    delayed INTEGER NOT NULL DEFAULT 0, reason TEXT, server TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS p2p_own ON p2p_messages(client_id) WHERE outgoing = 1;
CREATE INDEX IF NOT EXISTS p2p_place ON p2p_messages(partner_key, place);
CREATE INDEX IF NOT EXISTS p2p_waiting ON p2p_messages(message_id) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS p2p_conversations(
    partner_key TEXT PRIMARY KEY, partner TEXT NOT NULL, held INTEGER NOT NULL DEFAULT 0,
    seen INTEGER NOT NULL DEFAULT 0, updated INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS p2p_typed(id INTEGER PRIMARY KEY, line TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS p2p_server(id INTEGER PRIMARY KEY CHECK (id = 1), address TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS p2p_log(id INTEGER PRIMARY KEY CHECK (id = 1), log TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS p2p_schema(version INTEGER NOT NULL);
";

/// Creates missing tables and adopts rows of other programs. Fails with [`rusqlite::Error::InvalidQuery`] if a newer version created our
/// tables.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    let version: Option<i64> =
        transaction.query_row("SELECT version FROM p2p_schema", [], |row| row.get(0)).optional()?;
    match version {
        None => {
            transaction.execute("INSERT INTO p2p_schema(version) VALUES (?1)", [VERSION])?;
        }
        Some(version) if version > VERSION => return Err(rusqlite::Error::InvalidQuery),
        Some(_) => {}
    }
    adopt(&transaction)?;
    transaction.commit()
}

fn adopt(connection: &Connection) -> rusqlite::Result<()> {
    let mut foreign = connection.prepare(
        "SELECT id, sender, receiver, CAST(strftime('%s', timestamp) AS INTEGER) FROM messages
         WHERE id NOT IN (SELECT message_id FROM p2p_messages)",
    )?;
    let mut insert = connection.prepare(
        "INSERT INTO p2p_messages(message_id, partner, partner_key, place, outgoing, said, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut rows = foreign.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let text =
            |index| Ok::<String, rusqlite::Error>(row.get::<_, Option<String>>(index)?.unwrap_or_default());
        let (sender, receiver) = (text(1)?, text(2)?);
        let outgoing = sender == ME;
        let partner = if outgoing { receiver } else { sender };
        let said = row.get::<_, Option<i64>>(3)?.unwrap_or(0).saturating_mul(1_000_000);
        let said = Timestamp::from_micros(said).micros();
        insert.execute(params![
            id,
            partner,
            key_of(&partner),
            ADOPTED.saturating_add(id),
            outgoing,
            said,
            State::Stored.as_str()
        ])?;
    }
    Ok(())
}
