//! The tables, and their version.
//!
//! The truth is the log alone: heads and counts are read from its indexes, so there is nothing that could disagree with it.

use rusqlite::Connection;

/// Only a file that is still empty takes this. A commit writes every page it changed to the log, and each conversation's index entries
/// are on a page of their own: with small pages a commit is a fourth of the size, and twice as fast or more.
pub(super) const PAGE_SIZE: i64 = 1024;
/// `P2Pc` in ASCII: what `PRAGMA application_id` says of our files.
pub(super) const APPLICATION_ID: i32 = 0x5032_5063;

/// The version this program writes. [`migration`](super::migration) makes a file of it out of one of any version before.
pub(super) const VERSION: usize = 6;

/// * `meta`: `log` names the log in this file. It is made with the file, and so anew by a restore, which builds a new one: what clients
///   remember of places in another log is not taken for places in this one.
/// * `users`: every name ever seen, as an integer. `registrations`: those that logged in, and what their names look like
///   ([`UserName::skeleton`](protocol::UserName::skeleton)), so that nobody new is taken for somebody who is offline. SQLite cannot
///   compute that: where a later Unicode changes skeletons, another version must fill them anew.
/// * `conversations`: up to `floor` places of a log were given away before a restore took it back. They are not given away again:
///   clients remember how far they have seen a log, and would take what is new there for old.
/// * `events`: the logs. `pos` is the commit order over all of them. `ordinal` is the running number, within its conversation, of the
///   events that count as unread, and `sent` that of its sender's own among them: what others said up to an event follows from the two
///   ([`Counted`](super::row::Counted)), and so what is unread, without counting. `target` is the `seq` of the event that this one is
///   about, `thread` that of the event whose thread it is in. The sender's name is kept where it was spelled otherwise than in `users`.
/// * `members`: who is in a conversation, their role, and how far they have read it. `unread` says that something for them may lie
///   past their cursor, so that the few conversations that matter at login are found without looking at the others; up to `read_to`
///   nothing was unread when it was set. In a room it is not used: saying something there would write a row for every member.
/// * `devices`, `device_cursors`: how far each of a user's devices has read.
/// * `state`: what services keep.
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

/// Made when the tables are filled, for sorting once is faster than keeping an order.
///
/// An event in every conversation is a page to write for each index that begins with the conversation, so `events` has one such index:
/// what is unread is searched in `log`, too. `sent` begins with the client id because ours grow with time: new ones go to its end
/// instead of to a page for each sender.
pub(super) const INDEXES: [&str; 6] = [
    "CREATE UNIQUE INDEX log ON events(conversation, seq)",
    "CREATE UNIQUE INDEX sent ON events(client_id, sender)",
    "CREATE INDEX unread ON members(user, conversation) WHERE unread = 1",
    "CREATE INDEX members_of ON members(conversation)",
    "CREATE INDEX device_cursors_in ON device_cursors(conversation)",
    "CREATE INDEX lookalikes ON registrations(skeleton)",
];

/// What a file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Nothing in it yet.
    Empty,
    /// Ours, of this version.
    Ours(usize),
    /// Ours, made by a later program.
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

/// Makes the tables in an empty file, in one transaction.
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

/// Notes that the file is ours, and of this version.
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
