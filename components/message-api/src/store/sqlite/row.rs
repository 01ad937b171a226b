//! Converts between rows and events.

use protocol::{Body, ClientId, ConversationId, Event, MessageType, Metadata, Timestamp, UserName};
use rusqlite::Row;
use rusqlite::types::Type;
use uuid::Uuid;

/// An event's running counts for unread messages, as in its row. Those of the position before the first event are zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// The number of counted events up to here, including this one.
    pub(super) ordinal: u64,
    /// The sender of this event.
    pub(super) sender: i64,
    /// The number of them by this sender.
    pub(super) sent: u64,
}

/// The columns that [`counted`] reads.
pub(super) const COUNTED_COLUMNS: &str = "ordinal, sender, sent";

/// Reads [`COUNTED_COLUMNS`].
pub(super) fn counted(row: &Row<'_>) -> rusqlite::Result<Counted> {
    Ok(Counted { ordinal: row.get(0)?, sender: row.get(1)?, sent: row.get(2)? })
}

impl Counted {
    /// The counts of the next event by this sender.
    pub(super) fn followed_by(self, sender: i64) -> Self {
        let before = if self.sender == sender { self.sent } else { self.ordinal - self.sent };
        Self { ordinal: self.ordinal + 1, sender, sent: before + 1 }
    }

    /// The number of messages up to here for one of the conversation's two users: those of the other user, and in notes to self all.
    pub(super) fn received_by(self, user: i64, notes: bool) -> u64 {
        match self {
            Self { ordinal, .. } if notes => ordinal,
            Self { ordinal, sender, sent } if sender == user => ordinal - sent,
            Self { sent, .. } => sent,
        }
    }
}

/// The columns of an event, from `events AS e` joined by [`EVENT_JOINS`]; read by [`event`].
pub(super) const EVENT_COLUMNS: &str = "e.pos, e.id, c.key, e.seq, e.at, coalesce(e.sender_name, s.name), e.body, e.kind, e.metadata, e.client_id, e.timestamp";

/// The joins for [`EVENT_COLUMNS`].
pub(super) const EVENT_JOINS: &str =
    "JOIN conversations AS c ON c.id = e.conversation JOIN users AS s ON s.id = e.sender";

/// Reads an event. Its parts are validated, so that a damaged file results in an error and not in a wrong message.
pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let at = Timestamp::from_micros(row.get(4)?);
    let metadata = match row.get_ref(8)?.as_str_or_null().map_err(|error| damaged(8, error))? {
        Some(json) => serde_json::from_str::<Metadata>(json).map_err(|error| damaged(8, error))?,
        None => Metadata::default(),
    };
    Ok(Event {
        id: Uuid::from_bytes(row.get(1)?),
        conversation: parse(row, 2, ConversationId::parse)?,
        seq: row.get(3)?,
        at,
        sender: parse(row, 5, UserName::stored)?,
        body: parse(row, 6, Body::stored)?,
        kind: MessageType::of_number(row.get(7)?).ok_or_else(|| damaged(7, "no such type of message"))?,
        metadata,
        client_id: parse(row, 9, ClientId::parse)?,
        timestamp: row.get::<_, Option<i64>>(10)?.map_or(at, Timestamp::from_micros),
    })
}

/// Parses a text column.
pub(super) fn parse<T, E>(
    row: &Row<'_>,
    column: usize,
    parser: impl Fn(&str) -> Result<T, E>,
) -> rusqlite::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let text = row.get_ref(column)?.as_str().map_err(|error| damaged(column, error))?;
    parser(text).map_err(|error| damaged(column, error))
}

fn damaged(column: usize, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}
