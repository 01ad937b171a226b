//! Write operations of the history.
//!
//! Each function is one transaction. Server messages are identified by their id, own messages by their `client_id`: neither is ever stored
//! twice.

use protocol::native::{Ack, ConversationSummary, Send};
use protocol::{ClientId, Event, Timestamp, UserName};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use transport::native::is_another;
use uuid::Uuid;

use super::database::History;
use super::entry::{Entry, key_of};
use super::read::one;
use super::schema::ME;

/// The position of a message in the server's log is its `seq` times this; the gaps hold messages that were rejected.
const SPREAD: i64 = 1 << 20;
/// Positions of waiting messages come after all others.
const WAITING: i64 = 1 << 61;
/// Most typed lines stored. Overflow rule: the oldest are deleted.
const TYPED: i64 = 1000;

fn place_of(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX).saturating_mul(SPREAD)
}

impl History {
    fn begin(&mut self) -> rusqlite::Result<Transaction<'_>> {
        self.connection.transaction_with_behavior(TransactionBehavior::Immediate)
    }

    /// Switches to a server. Positions in another server's log become invalid, and messages waiting for it count as delayed.
    pub(crate) fn attach(&mut self, server: &str) -> rusqlite::Result<()> {
        let transaction = self.begin()?;
        let before: Option<String> =
            transaction.query_row("SELECT address FROM p2p_server", [], |row| row.get(0)).optional()?;
        if before.is_some_and(|before| before != server) {
            detach(&transaction, None)?;
            transaction.execute("DELETE FROM p2p_log", [])?;
        }
        transaction.execute(
            "INSERT INTO p2p_server(id, address) VALUES (1, ?1) ON CONFLICT DO UPDATE SET address = excluded.address",
            [server],
        )?;
        transaction.execute(
            "UPDATE p2p_messages SET delayed = 1 WHERE state = 'waiting' AND server IS ?1",
            [server],
        )?;
        transaction.commit()?;
        self.server = Some(server.to_owned());
        Ok(())
    }

    /// Stores messages of the user as waiting. A duplicate `client_id` stores nothing.
    pub(crate) fn say(&mut self, sends: &[(Send, Timestamp)]) -> rusqlite::Result<Vec<Entry>> {
        let server = self.server.clone();
        let transaction = self.begin()?;
        let mut entries = Vec::with_capacity(sends.len());
        for (send, said) in sends {
            let row = match row_of(&transaction, &send.client_id)? {
                Some(row) => row,
                None => insert_said(&transaction, send, *said, server.as_deref())?,
            };
            entries.push(one(&transaction, row)?);
        }
        transaction.commit()?;
        Ok(entries)
    }

    /// The server has stored messages of the user. Returns their new state if they were sent from here.
    pub(crate) fn acknowledge(&mut self, acks: &[Ack]) -> rusqlite::Result<Vec<Option<Entry>>> {
        let transaction = self.begin()?;
        let mut entries = Vec::with_capacity(acks.len());
        for ack in acks {
            let Some(row) = row_of(&transaction, &ack.client_id)? else {
                entries.push(None);
                continue;
            };
            settle(&transaction, row, &ack.id.to_string(), ack.seq)?;
            let entry = one(&transaction, row)?;
            advance(&transaction, &key_of(&entry.partner), &entry.partner, None)?;
            entries.push(Some(entry));
        }
        transaction.commit()?;
        Ok(entries)
    }

    /// The server rejected a message of the user for good.
    pub(crate) fn refuse(&mut self, id: &ClientId, reason: &str) -> rusqlite::Result<Option<Entry>> {
        let transaction = self.begin()?;
        let Some(row) = row_of(&transaction, id)? else { return Ok(None) };
        let entry = one(&transaction, row)?;
        let held = held(&transaction, &key_of(&entry.partner))?;
        let place = place_of(held).saturating_add(row % SPREAD);
        transaction.execute(
            "UPDATE p2p_messages SET state = 'refused', reason = ?2, place = ?3 WHERE message_id = ?1",
            params![row, reason, place],
        )?;
        let entry = one(&transaction, row)?;
        transaction.commit()?;
        Ok(Some(entry))
    }

    /// Stores events as they follow each other in the server's logs. Returns the new ones: neither sent from here nor received before.
    pub(crate) fn receive(
        &mut self,
        events: &[Event],
        me: &UserName,
    ) -> rusqlite::Result<Vec<Option<Entry>>> {
        let transaction = self.begin()?;
        let mut entries = Vec::with_capacity(events.len());
        for event in events {
            let partner = partner_of(&transaction, event, me)?;
            // A page of history may already contain it, but that did not show it.
            let told = event.seq <= held(&transaction, partner.key())?;
            let said_here = event.sender == *me && row_of(&transaction, &event.client_id)?.is_some();
            let row = keep(&transaction, event, me)?;
            entries.push(if told || said_here { None } else { Some(one(&transaction, row)?) });
            advance(&transaction, partner.key(), partner.as_str(), Some(event.seq))?;
        }
        transaction.commit()?;
        Ok(entries)
    }

    /// Stores a page of an older part of the log, and returns its messages. Nothing is assumed about its surroundings.
    pub(crate) fn fill_in(&mut self, events: &[Event], me: &UserName) -> rusqlite::Result<Vec<Entry>> {
        let transaction = self.begin()?;
        let mut entries = Vec::with_capacity(events.len());
        for event in events {
            let row = keep(&transaction, event, me)?;
            entries.push(one(&transaction, row)?);
        }
        transaction.commit()?;
        Ok(entries)
    }

    /// A conversation was shown up to this event.
    pub(crate) fn see(&mut self, partner: &str, seq: u64) -> rusqlite::Result<()> {
        self.connection.execute(
            "INSERT INTO p2p_conversations(partner_key, partner, seen) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET seen = max(seen, excluded.seen)",
            params![key_of(partner), partner, signed(seq)],
        )?;
        Ok(())
    }

    /// Compares the server's conversations and log with the stored ones.
    pub(crate) fn greet(
        &mut self,
        conversations: &[ConversationSummary],
        log: Option<Uuid>,
        me: &UserName,
    ) -> rusqlite::Result<Logs> {
        let before = self.log()?;
        let transaction = self.begin()?;
        let mut logs = Logs::Same;
        if is_another(before, log) {
            logs = Logs::Replaced;
            detach(&transaction, None)?;
        }
        if let Some(log) = log {
            transaction.execute(
                "INSERT INTO p2p_log(id, log) VALUES (1, ?1) ON CONFLICT DO UPDATE SET log = excluded.log",
                [log.to_string()],
            )?;
        }
        for summary in conversations {
            let key = summary.with.key();
            if summary.head < held(&transaction, key)? {
                logs = Logs::Shorter;
                detach(&transaction, Some(key))?;
            }
            transaction.execute(
                "INSERT INTO p2p_conversations(partner_key, partner, held, seen) VALUES (?1, ?2, ?3, ?3)
                 ON CONFLICT DO UPDATE SET seen = max(seen, excluded.seen)",
                params![key, summary.with.as_str(), signed(summary.seen)],
            )?;
            // Makes conversations from other devices known here; unread messages arrive by themselves.
            if let Some(last) = summary.last.as_ref().filter(|last| last.seq <= summary.seen) {
                keep(&transaction, last, me)?;
            }
        }
        transaction.commit()?;
        Ok(logs)
    }

    /// Stores a typed line.
    pub(crate) fn remember(&mut self, line: &str) -> rusqlite::Result<()> {
        let transaction = self.begin()?;
        transaction.execute("DELETE FROM p2p_typed WHERE line = ?1", [line])?;
        transaction.execute("INSERT INTO p2p_typed(line) VALUES (?1)", [line])?;
        transaction
            .execute("DELETE FROM p2p_typed WHERE id <= (SELECT max(id) FROM p2p_typed) - ?1", [TYPED])?;
        transaction.commit()
    }
}

/// How the server's logs relate to the stored positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logs {
    /// The same logs.
    Same,
    /// A different log; the server sends everything past the user's cursors.
    Replaced,
    /// A log ends before a stored position though it was not declared replaced: everything must be requested again.
    Shorter,
}

fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// The other user of the conversation, in the spelling known here.
fn partner_of(connection: &Connection, event: &Event, me: &UserName) -> rusqlite::Result<UserName> {
    if event.sender != *me {
        return Ok(event.sender.clone());
    }
    let key = event.dm_receiver().unwrap_or(me.key());
    let known = connection
        .prepare_cached("SELECT partner FROM p2p_conversations WHERE partner_key = ?1")?
        .query_row([key], |row| row.get::<_, String>(0))
        .optional()?;
    let known = known.and_then(|name| UserName::stored(&name).ok()).filter(|name| name.key() == key);
    Ok(known
        .unwrap_or_else(|| UserName::stored(key).expect("the id of a direct conversation holds two names")))
}

fn row_of(connection: &Connection, id: &ClientId) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT message_id FROM p2p_messages WHERE client_id = ?1 AND outgoing = 1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()
}

fn insert_said(
    connection: &Connection,
    send: &Send,
    said: Timestamp,
    server: Option<&str>,
) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("INSERT INTO messages(sender, receiver, message, timestamp) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![ME, send.to.as_str(), send.body.as_str(), said.to_seconds_text()])?;
    let row = connection.last_insert_rowid();
    connection
        .prepare_cached(
            "INSERT INTO p2p_messages(message_id, partner, partner_key, place, outgoing, said, state, client_id, kind,
             metadata, delayed, server) VALUES (?1, ?2, ?3, ?4, 1, ?5, 'waiting', ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            row,
            send.to.as_str(),
            send.to.key(),
            WAITING.saturating_add(row),
            said.micros(),
            send.client_id.as_str(),
            send.kind.as_str(),
            send.metadata.to_json(),
            send.timestamp.is_some(),
            server
        ])?;
    Ok(row)
}

fn settle(connection: &Connection, row: i64, event: &str, seq: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE p2p_messages SET state = 'stored', event_id = ?2, seq = ?3, place = ?4 WHERE message_id = ?1",
        )?
        .execute(params![row, event, signed(seq), place_of(seq)])?;
    Ok(())
}

/// Stores an event unless it is already stored. Returns its row.
fn keep(connection: &Connection, event: &Event, me: &UserName) -> rusqlite::Result<i64> {
    let id = event.id.to_string();
    let outgoing = event.sender == *me;
    let known: Option<i64> = connection
        .prepare_cached("SELECT message_id FROM p2p_messages WHERE event_id = ?1")?
        .query_row([&id], |row| row.get(0))
        .optional()?;
    let known = match known {
        None if outgoing => row_of(connection, &event.client_id)?,
        known => known,
    };
    if let Some(row) = known {
        settle(connection, row, &id, event.seq)?;
        return Ok(row);
    }
    let partner = partner_of(connection, event, me)?;
    let (sender, receiver) = if outgoing { (ME, partner.as_str()) } else { (partner.as_str(), ME) };
    connection
        .prepare_cached("INSERT INTO messages(sender, receiver, message, timestamp) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![sender, receiver, event.body.as_str(), event.timestamp.to_seconds_text()])?;
    let row = connection.last_insert_rowid();
    connection
        .prepare_cached(
            "INSERT INTO p2p_messages(message_id, partner, partner_key, place, outgoing, said, state, seq, event_id,
             client_id, kind, metadata) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'stored', ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            row,
            partner.as_str(),
            partner.key(),
            place_of(event.seq),
            outgoing,
            event.timestamp.micros(),
            signed(event.seq),
            id,
            event.client_id.as_str(),
            event.kind.as_str(),
            event.metadata.to_json()
        ])?;
    Ok(row)
}

fn held(connection: &Connection, key: &str) -> rusqlite::Result<u64> {
    let held: Option<i64> = connection
        .prepare_cached("SELECT held FROM p2p_conversations WHERE partner_key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    Ok(held.and_then(|held| u64::try_from(held).ok()).unwrap_or(0))
}

/// Advances the stored position of a conversation to `seq`, if everything before is known to be stored, and on past own messages.
fn advance(connection: &Connection, key: &str, partner: &str, seq: Option<u64>) -> rusqlite::Result<()> {
    let before = held(connection, key)?;
    let mut held = before.max(seq.unwrap_or(0));
    let mut next = connection.prepare_cached(
        "SELECT 1 FROM p2p_messages WHERE partner_key = ?1 AND place = ?2 AND state = 'stored'",
    )?;
    while next.exists(params![key, place_of(held.saturating_add(1))])? {
        held += 1;
    }
    connection
        .prepare_cached(
            "INSERT INTO p2p_conversations(partner_key, partner, held, updated)
             VALUES (?1, ?2, ?3, (SELECT max(message_id) FROM p2p_messages))
             ON CONFLICT DO UPDATE SET held = excluded.held, partner = excluded.partner, updated = excluded.updated",
        )?
        .execute(params![key, partner, signed(held)])?;
    Ok(())
}

/// The server's log of one conversation, or of all, was replaced: stored messages of the old log get positions before the new one.
fn detach(connection: &Connection, key: Option<&str>) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE p2p_messages SET seq = NULL, place = place - (1 << 59)
         WHERE seq IS NOT NULL AND (?1 IS NULL OR partner_key = ?1)",
        [key],
    )?;
    connection.execute(
        "UPDATE p2p_conversations SET held = 0, seen = 0 WHERE ?1 IS NULL OR partner_key = ?1",
        [key],
    )?;
    Ok(())
}
