//! Read operations of the history.

use std::collections::BTreeMap;

use protocol::native::Send;
use protocol::{Body, ClientId, ConversationId, MessageType, Metadata, Timestamp, UserName};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::database::History;
use super::entry::{Entry, State, conversation, key_of};

/// Most conversations whose position is sent to the server. Overflow rule: for the others the server sends everything past the user's
/// cursor, and duplicates are recognised by their ids.
const CURSORS: i64 = 200;
/// Most conversations listed, the latest first. Overflow rule: older ones are found by search and by name.
const CONVERSATIONS: i64 = 500;

const COLUMNS: &str = "p.message_id, p.place, p.partner, p.outgoing, m.message, p.said, p.state, p.seq, p.kind, p.metadata, \
                       p.client_id";
const FROM: &str = "FROM p2p_messages p JOIN messages m ON m.id = p.message_id";

/// One conversation in a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) partner: String,
    /// The number of unread messages.
    pub(crate) unseen: u64,
    /// When its latest message was said, in microseconds since 1970.
    pub(crate) said: i64,
}

/// A page of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) partner: String,
    /// The messages in order.
    pub(crate) entries: Vec<Entry>,
    /// Whether the history holds older ones.
    pub(crate) more: bool,
}

/// A waiting message and its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) row: i64,
    pub(crate) send: Send,
}

impl History {
    /// The messages of a conversation before a position; without one, the newest.
    pub(crate) fn page(&self, partner: &str, before: Option<i64>, limit: usize) -> rusqlite::Result<Page> {
        let sql = format!(
            "SELECT {COLUMNS} {FROM} WHERE p.partner_key = ?1 AND p.place < ?2 ORDER BY p.place DESC LIMIT ?3"
        );
        let limit_sql = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let mut entries = self
            .connection
            .prepare_cached(&sql)?
            .query_map(params![key_of(partner), before.unwrap_or(i64::MAX), limit_sql], entry)?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let more = entries.len() > limit;
        entries.truncate(limit);
        entries.reverse();
        Ok(Page { partner: partner.to_owned(), entries, more })
    }

    /// The latest messages that contain a text, ignoring case, with one partner or all; the newest last.
    pub(crate) fn search(
        &self,
        text: &str,
        partner: Option<&str>,
        limit: usize,
    ) -> rusqlite::Result<Vec<Entry>> {
        let needle = text.to_lowercase();
        let mut found = Vec::new();
        self.each(partner, true, |entry| {
            if entry.text.to_lowercase().contains(&needle) {
                found.push(entry);
            }
            found.len() < limit
        })?;
        found.reverse();
        Ok(found)
    }

    /// Passes messages in stored order, or reversed, to `take` until it has enough.
    pub(crate) fn each(
        &self,
        partner: Option<&str>,
        backwards: bool,
        mut take: impl FnMut(Entry) -> bool,
    ) -> rusqlite::Result<()> {
        let order = if backwards { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT {COLUMNS} {FROM} WHERE ?1 IS NULL OR p.partner_key = ?1 ORDER BY p.said {order}, p.place {order}"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([partner.map(key_of)])?;
        while let Some(row) = rows.next()? {
            if !take(entry(row)?) {
                break;
            }
        }
        Ok(())
    }

    /// Messages waiting for this server after a row, in the order of writing.
    pub(crate) fn waiting(&self, after: i64, limit: usize) -> rusqlite::Result<Vec<Waiting>> {
        let sql = format!(
            "SELECT {COLUMNS}, p.delayed {FROM} WHERE p.state = 'waiting' AND p.message_id > ?1
             AND p.server IS ?2 ORDER BY p.message_id LIMIT ?3"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![after, self.server, limit])?;
        let mut waiting = Vec::new();
        while let Some(row) = rows.next()? {
            let delayed: bool = row.get(11)?;
            let entry = entry(row)?;
            // Another program may have changed the row; an invalid message cannot be sent.
            if let Some(send) = send(&entry, delayed) {
                waiting.push(Waiting { row: entry.row, send });
            }
        }
        Ok(waiting)
    }

    /// How many messages wait for this server.
    #[cfg(test)]
    pub(crate) fn waiting_count(&self) -> rusqlite::Result<usize> {
        let sql = "SELECT count(*) FROM p2p_messages WHERE state = 'waiting' AND server IS ?1";
        let count: i64 = self.connection.query_row(sql, [&self.server], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// The conversations, the latest first: by what was said last, not by what arrived last, because on a new machine everything arrives at
    /// once. A sender's time in the future counts as now.
    pub(crate) fn conversations(&self) -> rusqlite::Result<Vec<Summary>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT k.partner,
                (SELECT count(*) FROM p2p_messages u WHERE u.partner_key = k.partner_key AND u.outgoing = 0
                    AND u.seq > coalesce(c.seen, 0)), min(k.said, ?2) AS said
             FROM (SELECT partner_key, partner, max(message_id) AS latest, max(said) AS said FROM p2p_messages GROUP BY partner_key) k
             LEFT JOIN p2p_conversations c ON c.partner_key = k.partner_key
             ORDER BY said DESC, k.latest DESC LIMIT ?1",
        )?;
        let summary =
            |row: &Row<'_>| Ok(Summary { partner: row.get(0)?, unseen: row.get(1)?, said: row.get(2)? });
        statement.query_map([CONVERSATIONS, Timestamp::now().micros()], summary)?.collect()
    }

    /// The number of messages of a conversation at or after a position.
    pub(crate) fn count_from(&self, partner: &str, place: i64) -> rusqlite::Result<usize> {
        let sql = "SELECT count(*) FROM p2p_messages WHERE partner_key = ?1 AND place >= ?2";
        let count: i64 = self.connection.query_row(sql, params![key_of(partner), place], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// The typed lines, the latest last.
    pub(crate) fn typed(&self) -> rusqlite::Result<Vec<String>> {
        let mut statement = self.connection.prepare_cached("SELECT line FROM p2p_typed ORDER BY id")?;
        statement.query_map([], |row| row.get(0))?.collect()
    }

    /// The server's log to which stored positions belong.
    pub(crate) fn log(&self) -> rusqlite::Result<Option<Uuid>> {
        let log: Option<String> =
            self.connection.query_row("SELECT log FROM p2p_log", [], |row| row.get(0)).optional()?;
        Ok(log.and_then(|log| Uuid::try_parse(&log).ok()))
    }

    /// The last stored `seq` of each conversation, from which the server continues.
    pub(crate) fn cursors(&self, me: &UserName) -> rusqlite::Result<BTreeMap<ConversationId, u64>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT partner, held FROM p2p_conversations WHERE held > 0 ORDER BY updated DESC LIMIT ?1",
        )?;
        let held =
            statement.query_map([CURSORS], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?)))?;
        let mut cursors = BTreeMap::new();
        for pair in held {
            let (partner, held) = pair?;
            if let Some(id) = conversation(me, &partner) {
                cursors.insert(id, held);
            }
        }
        Ok(cursors)
    }

    /// Stored messages after a row that were never shown, in order of arrival.
    pub(crate) fn unseen(&self, after: i64, limit: usize) -> rusqlite::Result<Vec<Entry>> {
        let sql = format!(
            "SELECT {COLUMNS} {FROM} LEFT JOIN p2p_conversations c ON c.partner_key = p.partner_key
             WHERE p.outgoing = 0 AND p.seq > coalesce(c.seen, 0) AND p.seq <= c.held AND p.message_id > ?1
             ORDER BY p.message_id LIMIT ?2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.connection.prepare_cached(&sql)?.query_map(params![after, limit], entry)?.collect()
    }
}

fn send(entry: &Entry, delayed: bool) -> Option<Send> {
    Some(Send {
        trace: false,
        client_id: entry.client_id.clone()?,
        to: UserName::parse(&entry.partner).ok()?,
        body: Body::parse(&entry.text).ok()?,
        kind: entry.kind,
        metadata: entry.metadata.clone(),
        timestamp: delayed.then_some(entry.said),
    })
}

/// The message in a row.
pub(super) fn one(connection: &Connection, row: i64) -> rusqlite::Result<Entry> {
    let sql = format!("SELECT {COLUMNS} {FROM} WHERE p.message_id = ?1");
    connection.prepare_cached(&sql)?.query_row([row], entry)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let kind: String = row.get(8)?;
    let metadata: String = row.get(9)?;
    Ok(Entry {
        row: row.get(0)?,
        place: row.get(1)?,
        partner: row.get(2)?,
        outgoing: row.get(3)?,
        text: row.get::<_, Option<String>>(4)?.unwrap_or_default(),
        said: Timestamp::from_micros(row.get(5)?),
        state: State::parse(&row.get::<_, String>(6)?),
        seq: row.get::<_, Option<i64>>(7)?.and_then(|seq| u64::try_from(seq).ok()),
        kind: MessageType::ALL.into_iter().find(|one| one.as_str() == kind).unwrap_or_default(),
        metadata: serde_json::from_str::<Metadata>(&metadata).unwrap_or_default(),
        client_id: row.get::<_, Option<String>>(10)?.and_then(|id| ClientId::parse(&id).ok()),
    })
}
