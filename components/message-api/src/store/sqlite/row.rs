//! How events stand in rows.

use protocol::{Body, ClientId, ConversationId, Event, MessageType, Metadata, Timestamp, UserName};
use rusqlite::Row;
use rusqlite::types::Type;
use uuid::Uuid;

/// How an event counts towards what is unread; as in its row. The event before the first one counts nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// So many events that count were said up to here, this one counted…
    pub(super) ordinal: u64,
    /// …by this user or the other one…
    pub(super) sender: i64,
    /// …and so many of them by this one.
    pub(super) sent: u64,
}

/// What [`counted`] reads.
pub(super) const COUNTED_COLUMNS: &str = "ordinal, sender, sent";

/// Reads [`COUNTED_COLUMNS`].
pub(super) fn counted(row: &Row<'_>) -> rusqlite::Result<Counted> {
    Ok(Counted { ordinal: row.get(0)?, sender: row.get(1)?, sent: row.get(2)? })
}

impl Counted {
    /// The event of this sender that follows in the conversation.
    pub(super) fn followed_by(self, sender: i64) -> Self {
        let before = if self.sender == sender { self.sent } else { self.ordinal - self.sent };
        Self { ordinal: self.ordinal + 1, sender, sent: before + 1 }
    }

    /// How many messages came in for one of the conversation's two users up to here: what the other one said, and in the notes to
    /// oneself everything.
    pub(super) fn came_in_for(self, user: i64, notes: bool) -> u64 {
        match self {
            Self { ordinal, .. } if notes => ordinal,
            Self { ordinal, sender, sent } if sender == user => ordinal - sent,
            Self { sent, .. } => sent,
        }
    }
}

/// The columns of an event, from `events AS e` joined by [`EVENT_JOINS`]; read by [`event`].
pub(super) const EVENT_COLUMNS: &str = "e.pos, e.id, c.key, e.seq, e.at, coalesce(e.sender_name, s.name), e.body, e.kind, e.metadata, e.client_id, e.timestamp";

/// What [`EVENT_COLUMNS`] are read from beside `events AS e`.
pub(super) const EVENT_JOINS: &str =
    "JOIN conversations AS c ON c.id = e.conversation JOIN users AS s ON s.id = e.sender";

/// Reads an event; its parts are checked again, so that a damaged file yields an error and not a wrong message.
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

/// Reads a text column with its own parser.
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
