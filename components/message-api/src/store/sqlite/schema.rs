//! The tables and their version.
//!
//! The logs are the only source of truth: heads and counts are read from their indexes, so nothing can be inconsistent with them.

use rusqlite::Connection;

/// Only effective for an empty file. A commit writes every changed page to the log, and each conversation's index entries are on a page of
/// their own: with small pages a commit is a fourth of the size, and at least twice as fast.
pub(super) const PAGE_SIZE: i64 = 1024;
/// `P2Pc` in ASCII: the `PRAGMA application_id` of our files.
pub(super) const APPLICATION_ID: i32 = 0x5032_5063;

/// The version that this program writes. [`migration`](super::migration) upgrades a file of any earlier one.
pub(super) const VERSION: usize = 6;

/// * `meta`: `log` is the id of the log in this file. It is created with the file, and so changed by a restore, which builds a new file:
///   cursors that clients hold of another log are not used with this one.
/// * `users`: every name ever seen, as an integer. `registrations`: those that logged in, and their skeletons
///   ([`UserName::skeleton`](protocol::UserName::skeleton)), so that no new name looks like that of a user who is offline. SQLite cannot
///   compute skeletons: if a later Unicode changes them, a new schema version must recompute them.
/// * `conversations`: numbers up to `floor` were assigned before a restore. They are not assigned again: clients remember how far they have
///   read, and would consider new events read.
/// * `events`: the logs. `pos` is the commit order over all of them. `ordinal` is the running number, within its conversation, of the
///   events that count as unread, and `sent` that of its sender's own among them: the number of messages by others up to an event follows
///   from the two ([`Counted`](super::row::Counted)), so unread messages need not be counted. `target` is the `seq` of the event that this
///   one refers to, `thread` that of the event that started its thread. The sender's name is stored if it is spelled differently in
///   `users`.
/// * `members`: the members of a conversation, their role and cursor. `unread` means that there may be events for them after their cursor,
///   so that a login finds the relevant conversations without reading the others; up to `read_to` nothing was unread when it was set. Not
///   used in rooms, where each message would write a row per member.
/// * `devices`, `device_cursors`: the cursors of each user's devices.
/// * `state`: values of services.
pub(super) const TABLES: &str = "
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
) STRICT;
CREATE TABLE registrations (
    ordinal INTEGER PRIMARY KEY,
    user INTEGER NOT NULL UNIQUE REFERENCES users(id),
    name TEXT NOT NULL,
    address TEXT,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    skeleton TEXT
) STRICT;
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    floor INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE events (
    pos INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations(id),
    seq INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    sender INTEGER NOT NULL REFERENCES users(id),
    kind INTEGER NOT NULL,
    id BLOB NOT NULL,
    at INTEGER NOT NULL,
    timestamp INTEGER,
    client_id TEXT NOT NULL,
    body TEXT NOT NULL,
    metadata TEXT,
    sender_name TEXT,
    target INTEGER,
    thread INTEGER
) STRICT;
CREATE TABLE members (
    user INTEGER NOT NULL REFERENCES users(id),
    conversation INTEGER NOT NULL REFERENCES conversations(id),
    role INTEGER NOT NULL DEFAULT 0,
    cursor INTEGER NOT NULL DEFAULT 0,
    read_to INTEGER NOT NULL DEFAULT 0,
    unread INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user, conversation)
) STRICT, WITHOUT ROWID;
CREATE TABLE devices (
    id INTEGER PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES users(id),
    name TEXT NOT NULL,
    used INTEGER NOT NULL,
    UNIQUE (user, name)
) STRICT;
CREATE TABLE device_cursors (
    device INTEGER NOT NULL REFERENCES devices(id),
    conversation INTEGER NOT NULL REFERENCES conversations(id),
    cursor INTEGER NOT NULL,
    PRIMARY KEY (device, conversation)
) STRICT, WITHOUT ROWID;
CREATE TABLE state (
    owner INTEGER NOT NULL REFERENCES users(id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
";

/// Created after the tables are filled, because sorting once is faster than keeping an order.
///
/// Each index of `events` that begins with the conversation costs a page per conversation of a commit, so there is one such index: unread
/// messages are also searched in `log`. `sent` begins with the client id because ours increase with time: new ones go to its end instead of
/// to a page per sender.
pub(super) const INDEXES: [&str; 6] = [
    "CREATE UNIQUE INDEX log ON events(conversation, seq)",
    "CREATE UNIQUE INDEX sent ON events(client_id, sender)",
    "CREATE INDEX unread ON members(user, conversation) WHERE unread = 1",
    "CREATE INDEX members_of ON members(conversation)",
    "CREATE INDEX device_cursors_in ON device_cursors(conversation)",
    "CREATE INDEX lookalikes ON registrations(skeleton)",
];

/// The version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// An empty file.
    Empty,
    /// A store of this version.
    Ours(usize),
    /// A store of a newer version.
    Newer(usize),
    /// A SQLite file of another program.
    Foreign,
}

pub(super) fn version(connection: &Connection) -> rusqlite::Result<Version> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, usize::try_from(version)) {
        (0, Ok(0)) if tables == 0 => Version::Empty,
        (APPLICATION_ID, Ok(version)) if version > VERSION => Version::Newer(version),
        (APPLICATION_ID, Ok(version)) if version > 0 => Version::Ours(version),
        _ => Version::Foreign,
    })
}

/// Creates the tables in an empty file, in one transaction.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    for index in INDEXES {
        transaction.execute(index, [])?;
    }
    transaction.execute("INSERT INTO meta(key, value) VALUES ('log', randomblob(16))", [])?;
    mark(&transaction)?;
    transaction.commit()
}

/// Marks the file as a store of the current version.
pub(super) fn mark(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", VERSION)
}

/// The tables of an older version, for tests.
#[cfg(test)]
pub(super) fn create_old(connection: &Connection, version: usize) {
    let steps = [
        include_str!("../../../tests/versions/1.sql"),
        include_str!("../../../tests/versions/2.sql"),
        include_str!("../../../tests/versions/3.sql"),
        include_str!("../../../tests/versions/4.sql"),
        include_str!("../../../tests/versions/5.sql"),
    ];
    steps[..version].iter().for_each(|step| connection.execute_batch(step).unwrap());
    connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
}
