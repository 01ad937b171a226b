//! Stored peers: those with messages or a name given here.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use protocol::Timestamp;
use protocol::lan::PeerKey;
use protocol::lan::view::Trust;
use rusqlite::{Connection, Row, params};

use super::damage::Damage;
use super::database::Store;
use super::error::StoreError;
use super::quota::{Deleted, MAX_STRANGERS, Quota, Reason};

/// The stored data of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    /// Its identity.
    pub(crate) key: PeerKey,
    /// The name given here; may be empty.
    pub(crate) given: String,
    /// The name that it gives itself; may be empty.
    pub(crate) claimed: String,
    /// Its addresses, the most recent first.
    pub(crate) addresses: Vec<SocketAddr>,
    /// How far it is trusted.
    pub(crate) trust: Trust,
    /// When it was last online.
    pub(crate) last_seen: Timestamp,
    /// Whether there is a conversation.
    pub(crate) has_talked: bool,
    /// Whether the user ever wrote to it.
    pub(crate) has_been_written_to: bool,
}

impl Person {
    /// A peer with no other data.
    pub(crate) fn new(key: PeerKey, last_seen: Timestamp) -> Self {
        let trust = match key {
            PeerKey::Legacy(_) => Trust::Unencrypted,
            PeerKey::Node(_) => Trust::New,
        };
        let (given, claimed) = (String::new(), String::new());
        Self {
            key,
            given,
            claimed,
            addresses: Vec::new(),
            trust,
            last_seen,
            has_talked: false,
            has_been_written_to: false,
        }
    }
}

impl Store {
    /// All stored peers.
    pub(crate) async fn people(&self) -> Result<Vec<Person>, StoreError> {
        let damage = self.damage.clone();
        self.call(move |connection| {
            let sql = "SELECT key, given, trust, claimed, addresses, max(last_seen, coalesce(
                (SELECT sent FROM messages WHERE peer = key ORDER BY row DESC LIMIT 1), 0)),
                EXISTS (SELECT 1 FROM messages WHERE peer = key),
                out_seq <> 0 OR coalesce((SELECT wrote FROM room WHERE peer = key), 0) FROM peers";
            let mut statement = connection.prepare(sql)?;
            let people = statement.query_map([], |row| Ok(read(row, &damage)))?;
            Ok(people.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        })
        .await
    }

    /// The number of waiting messages by node.
    pub(crate) async fn waiting_counts(&self) -> Result<HashMap<PeerKey, u64>, StoreError> {
        self.call(|connection| {
            let sql = "SELECT peer, count(*) FROM messages WHERE state = 'queued' GROUP BY peer";
            let mut statement = connection.prepare_cached(sql)?;
            let counts =
                statement.query_map([], |row| Ok((row.get::<_, String>(0).ok(), row.get::<_, i64>(1)?)))?;
            let counts = counts.collect::<Result<Vec<_>, _>>()?.into_iter();
            let counts = counts.filter_map(|(key, count)| Some((key?, count)));
            Ok(counts.filter_map(|(key, count)| Some((key.parse().ok()?, count.unsigned_abs()))).collect())
        })
        .await
    }

    /// Stores the user's data about a peer without changing its streams. Returns the peers deleted to make room.
    pub(crate) async fn save_person(&self, person: Person) -> Result<Vec<PeerKey>, StoreError> {
        let quota = Arc::clone(&self.quota);
        self.call(move |connection| save(connection, person, &quota)).await
    }

    /// Stores a peer's own data, like [`Store::save_person`] but without syncing, because the peer will repeat it.
    pub(crate) async fn save_authenticated(&self, person: Person) -> Result<Vec<PeerKey>, StoreError> {
        let quota = Arc::clone(&self.quota);
        self.call_unsynced(move |connection| save(connection, person, &quota)).await
    }
}

fn save(connection: &mut Connection, person: Person, quota: &Quota) -> Result<Vec<PeerKey>, StoreError> {
    let transaction = connection.transaction()?;
    let sql = "INSERT INTO peers(key, given, trust, claimed, addresses, last_seen)
        VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(key) DO UPDATE SET
        given = ?2, trust = ?3, claimed = ?4, addresses = ?5, last_seen = ?6";
    let Person { key, given, claimed, addresses, trust, last_seen, has_talked: _, has_been_written_to: _ } =
        person;
    let addresses = serde_json::to_string(&addresses).expect("addresses can be written as JSON");
    transaction.prepare_cached(sql)?.execute(params![
        key.to_string(),
        given,
        trust_text(trust),
        claimed,
        addresses,
        last_seen.micros()
    ])?;
    let gone = too_many(&transaction, key)?;
    let mut deleted = Deleted { count: 0, why: Reason::TooMany };
    for key in &gone {
        deleted.count += transaction.execute("DELETE FROM messages WHERE peer = ?1", [key.to_string()])?;
        transaction.execute("DELETE FROM peers WHERE key = ?1", [key.to_string()])?;
        transaction.execute("DELETE FROM room WHERE peer = ?1", [key.to_string()])?;
    }
    transaction.commit()?;
    quota.note(deleted);
    Ok(gone)
}

/// The strangers to delete, other than this one: see [`MAX_STRANGERS`].
fn too_many(connection: &Connection, but: PeerKey) -> Result<Vec<PeerKey>, StoreError> {
    let count = "SELECT count(*) FROM peers";
    let count: i64 = connection.prepare_cached(count)?.query_row([], |row| row.get(0))?;
    if count <= MAX_STRANGERS {
        return Ok(Vec::new());
    }
    let sql = "SELECT key, addresses FROM strangers
        ORDER BY coalesce((SELECT max(row) FROM messages WHERE peer = key), 0), last_seen";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0).unwrap_or_default(), row.get::<_, String>(1).unwrap_or_default()))
    })?;
    // Least recently seen first.
    let mut strangers = Vec::new();
    for row in rows {
        let (key, addresses) = row?;
        let Ok(key) = key.parse::<PeerKey>() else { continue };
        strangers.push((key, place(key, &addresses)));
    }
    let mut gone = Vec::new();
    while i64::try_from(strangers.len()).unwrap_or(i64::MAX) > MAX_STRANGERS {
        let Some(index) = most_crowded(&strangers, but) else { break };
        gone.push(strangers.remove(index).0);
    }
    Ok(gone)
}

/// A stranger's current or last address.
fn place(key: PeerKey, addresses: &str) -> Option<IpAddr> {
    match key {
        PeerKey::Legacy(ip) => Some(ip),
        PeerKey::Node(_) => {
            let addresses: Vec<SocketAddr> = serde_json::from_str(addresses).unwrap_or_default();
            addresses.first().map(SocketAddr::ip)
        }
    }
}

/// The first stranger of the address with the most strangers.
fn most_crowded(strangers: &[(PeerKey, Option<IpAddr>)], but: PeerKey) -> Option<usize> {
    let mut counts: HashMap<Option<IpAddr>, usize> = HashMap::new();
    strangers.iter().for_each(|(_, place)| *counts.entry(*place).or_default() += 1);
    let others = strangers.iter().enumerate().filter(|(_, (key, _))| *key != but);
    others.rev().max_by_key(|(_, (_, place))| counts[place]).map(|(index, _)| index)
}

/// The peer of a row; `None` if it is damaged, which is logged and counted.
fn read(row: &Row<'_>, damage: &Damage) -> Option<Person> {
    let found = person(row);
    if found.is_none() {
        let key: String = row.get(0).unwrap_or_else(|_| "with a key that is no text".to_owned());
        damage.note("peer", &key);
    }
    found
}

fn person(row: &Row<'_>) -> Option<Person> {
    let (key, trust) = (row.get::<_, String>(0).ok()?, row.get::<_, String>(2).ok()?);
    Some(Person {
        key: key.parse().ok()?,
        given: row.get(1).ok()?,
        claimed: row.get(3).ok()?,
        addresses: serde_json::from_str(&row.get::<_, String>(4).ok()?).unwrap_or_default(),
        trust: trust_of(&trust)?,
        last_seen: Timestamp::from_micros(row.get(5).ok()?),
        has_talked: row.get(6).ok()?,
        has_been_written_to: row.get(7).ok()?,
    })
}

fn trust_text(trust: Trust) -> &'static str {
    match trust {
        Trust::Unencrypted => "clear",
        Trust::New => "new",
        Trust::Verified => "verified",
        Trust::Changed => "changed",
        Trust::Blocked => "blocked",
    }
}

fn trust_of(text: &str) -> Option<Trust> {
    let all = [Trust::Unencrypted, Trust::New, Trust::Verified, Trust::Changed, Trust::Blocked];
    all.into_iter().find(|trust| trust_text(*trust) == text)
}
