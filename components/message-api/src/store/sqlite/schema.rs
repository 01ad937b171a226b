//! The tables, their version, and how an older file becomes a newer one.
//!
//! The truth is the log alone: heads and counts are read from its indexes, so there is nothing that could disagree with it.

use std::path::{Path, PathBuf};

use protocol::UserName;
use rusqlite::{Connection, OpenFlags};

use super::file::{self, CopyError};
use super::verify::verify;

/// `P2Pc` in ASCII: what `PRAGMA application_id` says of our files.
pub(super) const APPLICATION_ID: i32 = 0x5032_5063;

/// Each entry takes a file from the version that is its index to the next. Entries are never changed, only added.
const MIGRATIONS: [&str; 5] = [VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5];

/// * `users`: every name ever seen, as an integer. `registrations`: those that logged in.
/// * `events`: the logs. `pos` is the commit order over all of them; it ends every index, being the row id, so
///   `inbox` is in fact `(recipient, conversation, pos)`, which finds the next unseen event of a conversation at once.
///   `sent` begins with the client id because ours grow with time: new ones go to its end instead of to a page for each sender.
///   The two names are kept where they were spelled otherwise than in `users`.
/// * `members`: a cursor for each user and conversation, as `seq` and as `pos`. `unread` says whether an event for the
///   user lies past it, so that the few conversations that matter at login are found without looking at the others.
const VERSION_1: &str = "
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
    last_seen INTEGER NOT NULL
) STRICT;
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE events (
    pos INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations(id),
    seq INTEGER NOT NULL,
    sender INTEGER NOT NULL REFERENCES users(id),
    recipient INTEGER NOT NULL REFERENCES users(id),
    id BLOB NOT NULL,
    at INTEGER NOT NULL,
    timestamp INTEGER,
    kind INTEGER NOT NULL,
    client_id TEXT NOT NULL,
    body TEXT NOT NULL,
    metadata TEXT,
    sender_name TEXT,
    recipient_name TEXT
) STRICT;
CREATE UNIQUE INDEX log ON events(conversation, seq);
CREATE UNIQUE INDEX sent ON events(client_id, sender);
CREATE INDEX inbox ON events(recipient, conversation);
CREATE TABLE members (
    user INTEGER NOT NULL REFERENCES users(id),
    conversation INTEGER NOT NULL REFERENCES conversations(id),
    seen INTEGER NOT NULL DEFAULT 0,
    seen_pos INTEGER NOT NULL DEFAULT 0,
    unread INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user, conversation)
) STRICT, WITHOUT ROWID;
CREATE INDEX unread ON members(user, conversation) WHERE unread = 1;
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
    seen INTEGER NOT NULL,
    PRIMARY KEY (device, conversation)
) STRICT, WITHOUT ROWID;
CREATE TABLE state (
    owner INTEGER NOT NULL REFERENCES users(id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
";

/// `floor`: up to here places of a log were given away before a restore took it back. They are not given away again: clients remember
/// how far they have seen a log, and would take what is new there for old.
const VERSION_2: &str = "ALTER TABLE conversations ADD COLUMN floor INTEGER NOT NULL DEFAULT 0;";

/// An event in every conversation is a page to write for each index that begins with the conversation, so there is one such index
/// less. What is unread is searched in `log` instead, from the later of `seen` and `read_to`: up to there, nothing was unread
/// when `unread` was set.
const VERSION_3: &str = "
ALTER TABLE members ADD COLUMN read_to INTEGER NOT NULL DEFAULT 0;
UPDATE members SET read_to = coalesce((SELECT seq FROM events
    WHERE recipient = members.user AND conversation = members.conversation AND pos > seen_pos ORDER BY pos LIMIT 1), 1) - 1
    WHERE unread = 1;
DROP INDEX inbox;
ALTER TABLE members DROP COLUMN seen_pos;
";

/// `log` names the log in this file. It is made with the file, and so anew by a restore, which builds a new one: what clients remember of
/// places in another log is not taken for places in this one.
const VERSION_4: &str = "
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta(key, value) VALUES ('log', randomblob(16));
";

/// `skeleton`: what a registered name looks like ([`UserName::skeleton`]), so that nobody new is taken for somebody who is offline.
/// SQLite cannot compute it: [`fill_skeletons`] does. Where a later Unicode changes skeletons, another version must fill them anew.
const VERSION_5: &str = "
ALTER TABLE registrations ADD COLUMN skeleton TEXT;
CREATE INDEX lookalikes ON registrations(skeleton);
";
/// The version that brings the column.
const WITH_SKELETONS: usize = 5;

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

/// The version this program writes.
pub(super) fn current() -> usize {
    MIGRATIONS.len()
}

pub(super) fn version(connection: &Connection) -> rusqlite::Result<Version> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, usize::try_from(version)) {
        (0, Ok(0)) if tables == 0 => Version::Empty,
        (APPLICATION_ID, Ok(version)) if version > current() => Version::Newer(version),
        (APPLICATION_ID, Ok(version)) if version > 0 => Version::Ours(version),
        _ => Version::Foreign,
    })
}

/// Brings a file from `version` to the current one in one transaction: all of it or nothing.
pub(super) fn migrate(connection: &mut Connection, version: usize) -> rusqlite::Result<()> {
    migrate_with(connection, version, &MIGRATIONS)
}

fn migrate_with(connection: &mut Connection, version: usize, migrations: &[&str]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for migration in &migrations[version..] {
        transaction.execute_batch(migration)?;
    }
    if version < WITH_SKELETONS && migrations.len() >= WITH_SKELETONS {
        fill_skeletons(&transaction)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", migrations.len())?;
    transaction.commit()
}

/// A name that no version took stays without one: nobody can look like it.
fn fill_skeletons(connection: &Connection) -> rusqlite::Result<()> {
    let mut query = connection.prepare("SELECT ordinal, name FROM registrations")?;
    let mut update = connection.prepare("UPDATE registrations SET skeleton = ?2 WHERE ordinal = ?1")?;
    // In this order, a row that changes is not met again.
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (ordinal, name): (i64, String) = (row.get(0)?, row.get(1)?);
        if let Ok(name) = UserName::stored(&name) {
            update.execute((ordinal, &*name.skeleton()))?;
        }
    }
    Ok(())
}

/// Copies the file as it is to `FILE.vN.bak` before it is migrated. A copy that is there already is kept if it holds the same: it is
/// of an attempt that did not end. One that does not, or that is not complete, is replaced.
pub(super) fn back_up(connection: &Connection, path: &Path, version: usize) -> Result<PathBuf, CopyError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".v{version}.bak"));
    let copy = PathBuf::from(name);
    if !is_copy(connection, &copy).unwrap_or(false) {
        file::copy(connection, &copy)?;
    }
    Ok(copy)
}

fn is_copy(connection: &Connection, copy: &Path) -> rusqlite::Result<bool> {
    let made = |connection: &Connection| -> rusqlite::Result<(Version, i64, i64)> {
        let query = "SELECT count(*), coalesce(max(pos), 0) FROM events";
        let (count, last) = connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((version(connection)?, count, last))
    };
    if !copy.exists() || !verify(copy)?.is_empty() {
        return Ok(false);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    Ok(made(&Connection::open_with_flags(copy, flags)?)? == made(connection)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn an_older_file_is_backed_up_and_migrated_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat.db");
        let mut connection = Connection::open(&path).unwrap();
        assert_eq!(version(&connection).unwrap(), Version::Empty);
        migrate_with(&mut connection, 0, &[VERSION_1]).unwrap();
        assert_eq!(version(&connection).unwrap(), Version::Ours(1));
        connection.execute("INSERT INTO users(key, name) VALUES ('a', 'A')", []).unwrap();

        let torn = directory.path().join("chat.db.v1.bak");
        std::fs::write(&torn, &std::fs::read(&path).unwrap()[..5000]).unwrap();
        let copy = back_up(&connection, &path, 1).unwrap();
        assert_eq!(copy, torn, "one that is not complete is not trusted");
        assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        let made = std::fs::metadata(&copy).unwrap().ino();
        back_up(&connection, &path, 1).unwrap();
        assert_eq!(std::fs::metadata(&copy).unwrap().ino(), made, "one that holds the same is kept");
        let broken = [VERSION_1, "CREATE TABLE extra (id INTEGER); CREATE TABLE users (id INTEGER);"];
        migrate_with(&mut connection, 1, &broken).unwrap_err();
        assert_eq!(version(&connection).unwrap(), Version::Ours(1), "all or nothing");
        migrate(&mut connection, 1).unwrap();
        assert_eq!(version(&connection).unwrap(), Version::Ours(current()));
        connection.pragma_update(None, "user_version", current() + 1).unwrap();
        assert_eq!(version(&connection).unwrap(), Version::Newer(current() + 1));

        let copy = Connection::open(copy).unwrap();
        let name: String = copy.query_row("SELECT name FROM users", [], |row| row.get(0)).unwrap();
        assert_eq!((name.as_str(), version(&copy).unwrap()), ("A", Version::Ours(1)));
    }

    #[test]
    fn those_registered_before_version_5_are_guarded_against_lookalikes_from_it_on() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate_with(&mut connection, 0, &MIGRATIONS[..4]).unwrap();
        // Two who look alike were let in before.
        let rows = "INSERT INTO users(id, key, name) VALUES (1, 'bob1', 'Bob1'), (2, 'bobl', 'bobl'), (3, 'ann', 'ann');
            INSERT INTO registrations(user, name, first_seen, last_seen) VALUES (1, 'Bob1', 1, 1), (2, 'bobl', 2, 2), (3, 'ann', 3, 3);";
        connection.execute_batch(rows).unwrap();
        migrate(&mut connection, 4).unwrap();
        let lookalike = |name: &str| {
            let name = UserName::parse(name).unwrap();
            super::super::query::lookalike(&connection, &name).unwrap().map(|name| name.to_string())
        };
        assert_eq!(lookalike("BOBI"), Some("Bob1".to_owned()), "the first of them");
        assert_eq!(lookalike("\u{430}nn"), Some("ann".to_owned()));
        assert_eq!(lookalike("anna"), None);
    }

    #[test]
    fn what_is_unread_in_a_file_of_version_2_is_found_in_version_3() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate_with(&mut connection, 0, &[VERSION_1, VERSION_2]).unwrap();
        // Ann wrote three, of which Bob saw one; Bob answered and wrote the last.
        let rows = "INSERT INTO users(id, key, name) VALUES (1, 'ann', 'ann'), (2, 'bob', 'bob');
            INSERT INTO conversations(id, key) VALUES (1, 'dm:ann:bob');
            INSERT INTO events(pos, conversation, seq, sender, recipient, id, at, kind, client_id, body) VALUES
                (3, 1, 1, 1, 2, zeroblob(16), 1, 0, 'a', 'one'), (4, 1, 2, 1, 2, zeroblob(16), 2, 0, 'b', 'two'),
                (5, 1, 3, 2, 1, zeroblob(16), 3, 0, 'c', 'yes'), (6, 1, 4, 1, 2, zeroblob(16), 4, 0, 'd', 'three'),
                (7, 1, 5, 2, 1, zeroblob(16), 5, 0, 'e', 'no');
            INSERT INTO members(user, conversation, seen, seen_pos, unread) VALUES (1, 1, 5, 7, 0), (2, 1, 1, 3, 1);";
        connection.execute_batch(rows).unwrap();
        migrate(&mut connection, 2).unwrap();
        let unseen = |who, after, limit| {
            let who = UserName::parse(who).unwrap();
            let draft = super::super::unread::Draft::begin(&connection, &who, after).unwrap();
            let plan = draft.go_on(&connection).unwrap().finish();
            let (page, _) = plan.page(&connection, &who, after, limit).unwrap();
            page.events.iter().map(|event| event.body.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(unseen("bob", 0, 9), ["two", "three"]);
        assert_eq!((unseen("bob", 4, 9), unseen("bob", 6, 9)), (vec!["three".to_owned()], vec![]));
        assert!(unseen("ann", 0, 9).is_empty());
    }
}
