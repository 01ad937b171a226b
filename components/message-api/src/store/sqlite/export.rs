//! Queries that read the whole file.

use protocol::api::CursorMove;
use protocol::native::Device;
use protocol::{ConversationId, UserName};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::row;
use crate::store::StatePut;

/// The conversations after `after`, in order of their keys.
pub(super) fn all_conversations(
    connection: &Connection,
    after: Option<&ConversationId>,
    limit: usize,
) -> rusqlite::Result<Vec<ConversationId>> {
    let mut query =
        connection.prepare_cached("SELECT key FROM conversations WHERE key > ?1 ORDER BY key LIMIT ?2")?;
    let after = after.map_or("", ConversationId::as_str);
    query.query_map(params![after, limit], |row| row::parse(row, 0, ConversationId::parse))?.collect()
}

/// The highest `seq` that a conversation had assigned before a restore.
pub(super) fn floor(connection: &Connection, conversation: &ConversationId) -> rusqlite::Result<u64> {
    let mut query = connection.prepare_cached("SELECT floor FROM conversations WHERE key = ?1")?;
    let floor = query.query_row([conversation.as_str()], |row| row.get(0)).optional()?;
    Ok(floor.unwrap_or(0))
}

/// Users' cursors in a conversation, then those of their devices.
pub(super) fn cursors(
    connection: &Connection,
    conversation: &ConversationId,
) -> rusqlite::Result<Vec<CursorMove>> {
    let mut query = connection.prepare_cached(
        "SELECT u.key, NULL, m.cursor FROM conversations AS c
            JOIN members AS m ON m.conversation = c.id JOIN users AS u ON u.id = m.user
            WHERE c.key = ?1 AND m.cursor > 0
         UNION ALL
         SELECT u.key, d.name, p.cursor FROM conversations AS c
            JOIN device_cursors AS p ON p.conversation = c.id
            JOIN devices AS d ON d.id = p.device JOIN users AS u ON u.id = d.user
            WHERE c.key = ?1",
    )?;
    let cursor = |row: &Row<'_>| {
        let device = match row.get::<_, Option<String>>(1)? {
            Some(_) => Some(row::parse(row, 1, Device::parse)?),
            None => None,
        };
        let user = row::parse(row, 0, UserName::stored)?;
        Ok(CursorMove { user, device, conversation: conversation.clone(), seq: row.get(2)? })
    };
    query.query_map([conversation.as_str()], cursor)?.collect()
}

/// The values of services after this owner and key, in order.
pub(super) fn all_state(
    connection: &Connection,
    after: Option<(UserName, String)>,
    limit: usize,
) -> rusqlite::Result<Vec<StatePut>> {
    let mut query = connection.prepare_cached(
        "SELECT u.key, s.key, s.value FROM state AS s JOIN users AS u ON u.id = s.owner
         WHERE (u.key, s.key) > (?1, ?2) ORDER BY u.key, s.key LIMIT ?3",
    )?;
    let (owner, key) = after.map_or_else(Default::default, |(owner, key)| (owner.key().to_owned(), key));
    let put = |row: &Row<'_>| {
        Ok(StatePut { owner: row::parse(row, 0, UserName::stored)?, key: row.get(1)?, value: row.get(2)? })
    };
    query.query_map(params![owner, key, limit], put)?.collect()
}

/// The id of the file's log.
pub(super) fn log(connection: &Connection) -> rusqlite::Result<Uuid> {
    connection
        .query_row("SELECT value FROM meta WHERE key = 'log'", [], |row| row.get(0).map(Uuid::from_bytes))
}
