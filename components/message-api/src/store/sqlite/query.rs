//! Queries whose cost depends on the size of the answer, not of the history.

use std::collections::BTreeMap;

use protocol::api::{EventPage, User, Users};
use protocol::native::ConversationSummary;
use protocol::{ConversationId, Event, Timestamp, UserName};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::row::{self, COUNTED_COLUMNS, Counted, EVENT_COLUMNS, EVENT_JOINS};
use crate::store::Range;

pub(super) fn user_id(connection: &Connection, user: &UserName) -> rusqlite::Result<Option<i64>> {
    let mut find = connection.prepare_cached("SELECT id FROM users WHERE key = ?1")?;
    find.query_row([user.key()], |row| row.get(0)).optional()
}

fn event_at(connection: &Connection, pos: i64) -> rusqlite::Result<Event> {
    let sql = event_query("WHERE e.pos = ?1");
    connection.prepare_cached(&sql)?.query_row([pos], row::event)
}

pub(super) fn event_query(rest: &str) -> String {
    format!("SELECT {EVENT_COLUMNS} FROM events AS e {EVENT_JOINS} {rest}")
}

/// The most recent conversations. Finding them takes one index lookup per conversation of the user.
pub(super) fn conversations(
    connection: &Connection,
    user: &UserName,
    limit: usize,
) -> rusqlite::Result<Vec<ConversationSummary>> {
    let Some(id) = user_id(connection, user)? else { return Ok(Vec::new()) };
    let mut recent = connection.prepare_cached(
        "SELECT m.conversation, m.cursor,
            (SELECT pos FROM events WHERE conversation = m.conversation ORDER BY seq DESC LIMIT 1) AS head
         FROM members AS m WHERE m.user = ?1 AND head IS NOT NULL ORDER BY head DESC LIMIT ?2",
    )?;
    let recent = recent.query_map(params![id, limit], |row| {
        Ok(Membership { user: id, conversation: row.get(0)?, cursor: row.get(1)?, head: row.get(2)? })
    })?;
    recent.map(|membership| summary(connection, user, &membership?)).collect()
}

/// A user in a conversation.
struct Membership {
    user: i64,
    conversation: i64,
    cursor: u64,
    /// The position of the last event.
    head: i64,
}

fn summary(
    connection: &Connection,
    user: &UserName,
    membership: &Membership,
) -> rusqlite::Result<ConversationSummary> {
    let last = event_at(connection, membership.head)?;
    Ok(ConversationSummary {
        conversation: last.conversation.clone(),
        with: partner(connection, &last.conversation, user)?,
        head: last.seq,
        seen: membership.cursor,
        unseen: unread(connection, membership, last.conversation.is_note_to_self())?,
        last: Some(last),
    })
}

/// The number of messages for the user after their cursor: those up to the head minus those up to the cursor. Reads at most three rows,
/// however many messages there are.
fn unread(connection: &Connection, membership: &Membership, notes: bool) -> rusqlite::Result<u64> {
    let row = |rest: &str, parameters: &[&dyn rusqlite::ToSql]| {
        let sql = format!("SELECT {COUNTED_COLUMNS} FROM events WHERE {rest}");
        connection.prepare_cached(&sql)?.query_row(parameters, row::counted).optional()
    };
    let came_in = |event: Counted| event.received_by(membership.user, notes);
    let head = row("pos = ?1", &[&membership.head])?.map_or(0, came_in);
    let place: [&dyn rusqlite::ToSql; 2] = [&membership.conversation, &membership.cursor];
    if let Some(cursor) = row("conversation = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1", &place)? {
        return Ok(head.saturating_sub(came_in(cursor)));
    }
    // The cursor is before the oldest remaining event.
    let first = row("conversation = ?1 AND seq > ?2 ORDER BY seq LIMIT 1", &place)?;
    let before =
        first.map_or(0, |first| came_in(first) - u64::from(notes || first.sender != membership.user));
    Ok(head.saturating_sub(before))
}

/// The other user of a direct conversation, spelled as first seen.
fn partner(
    connection: &Connection,
    conversation: &ConversationId,
    user: &UserName,
) -> rusqlite::Result<UserName> {
    let key = conversation.dm_partner(user).unwrap_or(user.key());
    let mut find = connection.prepare_cached("SELECT name FROM users WHERE key = ?1")?;
    find.query_row([key], |row| row::parse(row, 0, UserName::stored))
}

/// A page of a conversation.
pub(super) fn events(
    connection: &Connection,
    conversation: &ConversationId,
    range: Range,
    limit: usize,
) -> rusqlite::Result<EventPage> {
    let (edge, sql) = match range {
        Range::After(seq) => (seq, "WHERE c.key = ?1 AND e.seq > ?2 ORDER BY e.seq LIMIT ?3"),
        Range::Before(seq) => (seq, "WHERE c.key = ?1 AND e.seq < ?2 ORDER BY e.seq DESC LIMIT ?3"),
    };
    let edge = i64::try_from(edge).unwrap_or(i64::MAX);
    let mut query = connection.prepare_cached(&event_query(sql))?;
    let rows = query.query_map(params![conversation.as_str(), edge, limit + 1], row::event)?;
    let mut events: Vec<Event> = rows.collect::<Result<_, _>>()?;
    let more = events.len() > limit;
    events.truncate(limit);
    if matches!(range, Range::Before(_)) {
        events.reverse();
    }
    Ok(EventPage { events, more })
}

/// Registered users after this number.
pub(super) fn users(connection: &Connection, after: u64, limit: usize) -> rusqlite::Result<Users> {
    let mut query = connection.prepare_cached(
        "SELECT name, address, first_seen, last_seen, ordinal FROM registrations WHERE ordinal > ?1
         ORDER BY ordinal LIMIT ?2",
    )?;
    let after_or_end = i64::try_from(after).unwrap_or(i64::MAX);
    let rows =
        query.query_map(params![after_or_end, limit + 1], |row| Ok((user(row)?, row.get::<_, u64>(4)?)))?;
    let mut rows: Vec<(User, u64)> = rows.collect::<Result<_, _>>()?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map_or(after, |(_, ordinal)| *ordinal);
    Ok(Users { users: rows.into_iter().map(|(user, _)| user).collect(), last, more })
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        name: row::parse(row, 0, UserName::stored)?,
        address: row.get(1)?,
        first_seen: Timestamp::from_micros(row.get(2)?),
        last_seen: Timestamp::from_micros(row.get(3)?),
    })
}

/// Those of these names that are registered.
pub(super) fn known(connection: &Connection, names: Vec<UserName>) -> rusqlite::Result<Vec<UserName>> {
    let mut query = connection.prepare_cached(
        "SELECT 1 FROM registrations AS r JOIN users AS u ON u.id = r.user WHERE u.key = ?1",
    )?;
    let keep = |name: UserName| query.exists([name.key()]).map(|known| known.then_some(name)).transpose();
    names.into_iter().filter_map(keep).collect()
}

/// The user who registered first among those with another name of the same skeleton.
pub(super) fn lookalike(connection: &Connection, name: &UserName) -> rusqlite::Result<Option<UserName>> {
    let mut query = connection.prepare_cached(
        "SELECT r.name FROM registrations AS r JOIN users AS u ON u.id = r.user
         WHERE r.skeleton = ?1 AND u.key <> ?2 ORDER BY r.ordinal LIMIT 1",
    )?;
    let found = query.query_row([&*name.skeleton(), name.key()], |row| row::parse(row, 0, UserName::stored));
    found.optional()
}

/// The values of a service.
pub(super) fn state(connection: &Connection, owner: &UserName) -> rusqlite::Result<BTreeMap<String, Value>> {
    let mut query = connection.prepare_cached(
        "SELECT s.key, s.value FROM state AS s JOIN users AS u ON u.id = s.owner WHERE u.key = ?1",
    )?;
    let entry = |row: &Row<'_>| {
        let value = row::parse(row, 1, |json| serde_json::from_str::<Value>(json))?;
        Ok((row.get(0)?, value))
    };
    query.query_map([owner.key()], entry)?.collect()
}
