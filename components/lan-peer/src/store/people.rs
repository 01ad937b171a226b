//! Everybody who said something, was said something to, or was given a name.

use protocol::Timestamp;
use protocol::lan::PeerKey;
use protocol::lan::view::Trust;
use rusqlite::{Connection, Row, params};

use super::{Store, StoreError};

/// Most peers of the old kind that are kept: anybody can be many of them. Overflow rule: the one that is silent for longest, and has
/// no name given here, goes with all that was said.
const MAX_OLD: i64 = 256;

/// What is kept of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    /// Who.
    pub(crate) key: PeerKey,
    /// The name that people gave here; may be empty.
    pub(crate) given: String,
    /// How far it is believed.
    pub(crate) trust: Trust,
    /// When it was heard last.
    pub(crate) last_seen: Timestamp,
}

impl Person {
    /// Somebody of whom nothing is known but this.
    pub(crate) fn new(key: PeerKey, last_seen: Timestamp) -> Self {
        let PeerKey::Old(_) = key;
        Self { key, given: String::new(), trust: Trust::Clear, last_seen }
    }
}

impl Store {
    /// Everybody.
    pub(crate) async fn people(&self) -> Result<Vec<Person>, StoreError> {
        self.call(|connection| {
            let sql = "SELECT key, given, trust, max(last_seen, coalesce(
                (SELECT sent FROM messages WHERE peer = key ORDER BY row DESC LIMIT 1), 0)) FROM peers";
            let mut statement = connection.prepare(sql)?;
            let people = statement.query_map([], read)?;
            Ok(people.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        })
        .await
    }

    /// Keeps what is said of a peer. Returns who had to go for it.
    pub(crate) async fn keep_person(&self, person: Person) -> Result<Vec<PeerKey>, StoreError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            let sql = "INSERT OR REPLACE INTO peers(key, given, trust, last_seen) VALUES(?1, ?2, ?3, ?4)";
            let Person { key, given, trust, last_seen } = person;
            transaction.prepare_cached(sql)?.execute(params![
                key.to_string(),
                given,
                trust_text(trust),
                last_seen.micros()
            ])?;
            let gone = too_many(&transaction, key)?;
            for key in &gone {
                transaction.execute("DELETE FROM messages WHERE peer = ?1", [key.to_string()])?;
                transaction.execute("DELETE FROM peers WHERE key = ?1", [key.to_string()])?;
            }
            transaction.commit()?;
            Ok(gone)
        })
        .await
    }
}

fn too_many(connection: &Connection, but: PeerKey) -> Result<Vec<PeerKey>, StoreError> {
    let sql = "SELECT key FROM peers WHERE key LIKE 'old:%' AND given = '' AND key <> ?1 ORDER BY
        (SELECT max(row) FROM messages WHERE peer = key) DESC LIMIT -1 OFFSET ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let keys = statement.query_map(params![but.to_string(), MAX_OLD - 1], |row| row.get::<_, String>(0))?;
    Ok(keys.collect::<Result<Vec<_>, _>>()?.iter().filter_map(|key| key.parse().ok()).collect())
}

/// A row that a hand has spoilt is passed over.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<Person>> {
    let (key, trust) = (row.get::<_, String>(0)?, row.get::<_, String>(2)?);
    let (Ok(key), Some(trust)) = (key.parse(), trust_of(&trust)) else { return Ok(None) };
    Ok(Some(Person { key, given: row.get(1)?, trust, last_seen: Timestamp::from_micros(row.get(3)?) }))
}

fn trust_text(trust: Trust) -> &'static str {
    match trust {
        Trust::Clear => "clear",
    }
}

fn trust_of(text: &str) -> Option<Trust> {
    (text == "clear").then_some(Trust::Clear)
}
