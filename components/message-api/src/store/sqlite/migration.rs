//! Migrates an older file to the current version.
//!
//! * The older file is locked against writers. It is read once, in order, into a new file beside it, whose indexes are created last.
//!   Memory: eight bytes per conversation, and SQLite's caches; 280 MiB with ten million messages.
//! * The new file is synced. Then the old one gets a second name, `FILE.vN.bak`, and the new one replaces it atomically.
//!
//! A kill at any moment leaves the old file as it was or the new one complete; the next start begins again, or has nothing to do. The disk
//! must have twice the size of the file.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use protocol::UserName;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, TransactionBehavior};

use super::files::{self, beside};
use super::open_error::SqliteOpenError;
use super::schema;
use super::schema::PAGE_SIZE;
use crate::store::ReportProgress;

/// The interval of progress reports.
const EVERY: Duration = Duration::from_secs(1);
/// Steps of SQLite's virtual machine between two checks of the time.
const STEPS: i32 = 100_000;
/// The approximate share of copying in the total time, in thousandths: 27 of 49 s with ten million messages. The rest is spent on indexes.
const COPYING: u64 = 600;
/// Approximate virtual machine steps per message for creating the indexes.
const STEPS_PER_MESSAGE: u64 = 20;
/// The page cache in KiB; sorting takes as much.
const CACHE: i64 = -64 * 1024;

/// The migration failed; the file is unchanged.
#[derive(Debug, thiserror::Error)]
pub(super) enum MigrationError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    System(#[from] io::Error),
    #[error("event {0} is of conversation {1}, which is not there")]
    Conversation(i64, i64),
    #[error("{copied} of {total} messages could be read")]
    Missing { copied: u64, total: u64 },
}

impl MigrationError {
    pub(super) fn of(self, path: &Path) -> SqliteOpenError {
        let path_owned = path.to_owned();
        match self {
            Self::Sqlite(error) => SqliteOpenError::from_sqlite(path, error),
            Self::System(error) if error.kind() == io::ErrorKind::StorageFull => {
                SqliteOpenError::Full(path_owned)
            }
            Self::System(source) => SqliteOpenError::Migration { path: path_owned, source },
            damaged @ (Self::Conversation(..) | Self::Missing { .. }) => {
                SqliteOpenError::Damaged { path: path_owned, source: Box::new(damaged) }
            }
        }
    }
}

/// Migrates the file at `path`, open in `old` and of version `from`. Returns the path of the old file.
pub(super) fn migrate(
    path: &Path,
    mut old: Connection,
    from: usize,
    tell: &ReportProgress,
) -> Result<PathBuf, MigrationError> {
    // Fails if another process has the file open, and moves the content of the log into the file, which alone is renamed.
    old.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    let fence = old.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let part = beside(path, ".part");
    files::remove_leftover(&part)?;
    let kept = fill(path, &part, from, tell).and_then(|()| swap(path, &part, from));
    if kept.is_err() {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&part);
    }
    drop(fence);
    kept
}

/// Renames the old file and then the new one.
fn swap(path: &Path, part: &Path, from: usize) -> Result<PathBuf, MigrationError> {
    let kept = beside(path, &format!(".v{from}.bak"));
    let link = beside(path, ".bak.part");
    files::remove_leftover(&link)?;
    // Without hard links the file is copied.
    if std::fs::hard_link(path, &link).is_err() {
        std::fs::copy(path, &link)?;
        File::open(&link)?.sync_all()?;
    }
    kit::durable::rename(&link, &kept)?;
    // If both names are of one file, the rename did nothing.
    let _ = std::fs::remove_file(&link);
    kit::durable::rename(part, path)?;
    Ok(kept)
}

/// Reads the old file into the new one, and syncs it.
fn fill(path: &Path, part: &Path, from: usize, tell: &ReportProgress) -> Result<(), MigrationError> {
    let file = kit::files::open(part, OpenOptions::new().create_new(true).write(true))?;
    let mut new = Connection::open(part)?;
    new.pragma_update(None, "page_size", PAGE_SIZE)?;
    // The new file is worthless after a crash until it is renamed.
    new.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))?;
    new.pragma_update(None, "synchronous", "OFF")?;
    new.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
    new.pragma_update(None, "cache_size", CACHE)?;
    // The old content is untrusted, and is checked here where that matters.
    new.pragma_update(None, "foreign_keys", false)?;
    // Sort with two threads.
    new.pragma_update_and_check(None, "threads", 2, |_| Ok(()))?;
    new.execute("ATTACH ?1 AS old", [path.to_string_lossy()])?;
    let done = Arc::new(Progress::default());
    let mut report = Report::new(from, &done, tell);
    new.progress_handler(
        STEPS,
        Some(move || {
            report.stepped();
            false
        }),
    )?;
    let transaction = new.transaction()?;
    let total = transaction.query_row("SELECT count(*) FROM old.events", [], |row| row.get(0))?;
    done.total.store(total, Relaxed);
    transaction.execute_batch(schema::TABLES)?;
    small_tables(&transaction, from)?;
    events(&transaction, &done)?;
    for index in schema::INDEXES {
        transaction.execute(index, [])?;
    }
    schema::mark(&transaction)?;
    transaction.commit()?;
    new.close().map_err(|(_, error)| error)?;
    Ok(file.sync_all()?)
}

/// Copies everything but the logs.
fn small_tables(new: &Connection, from: usize) -> rusqlite::Result<()> {
    let has = |since: usize, column: &'static str| if from >= since { column } else { "0" };
    let (floor, read_to) = (has(2, "floor"), has(3, "read_to"));
    new.execute_batch(&format!(
        "INSERT INTO users SELECT id, key, name FROM old.users;
         INSERT INTO conversations SELECT id, key, {floor} FROM old.conversations;
         INSERT INTO members SELECT user, conversation, 0, seen, {read_to}, unread FROM old.members;
         INSERT INTO devices SELECT id, user, name, used FROM old.devices;
         INSERT INTO device_cursors SELECT device, conversation, seen FROM old.device_cursors;
         INSERT INTO state SELECT owner, key, value FROM old.state;
         INSERT INTO registrations(ordinal, user, name, address, first_seen, last_seen)
            SELECT ordinal, user, name, address, first_seen, last_seen FROM old.registrations;"
    ))?;
    let log = if from >= 4 { "SELECT key, value FROM old.meta" } else { "SELECT 'log', randomblob(16)" };
    new.execute(&format!("INSERT INTO meta(key, value) {log}"), [])?;
    fill_skeletons(new)
}

/// A name that no version accepts has no skeleton: no new name can look like it.
fn fill_skeletons(new: &Connection) -> rusqlite::Result<()> {
    let mut query = new.prepare("SELECT ordinal, name FROM old.registrations")?;
    let mut update = new.prepare("UPDATE registrations SET skeleton = ?2 WHERE ordinal = ?1")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (ordinal, name): (i64, String) = (row.get(0)?, row.get(1)?);
        if let Ok(name) = UserName::stored(&name) {
            update.execute((ordinal, &*name.skeleton()))?;
        }
    }
    Ok(())
}

/// The number of messages that each of a conversation's two users has sent. The user with the smaller id comes first.
struct SentCounts(Vec<[u32; 2]>);

impl SentCounts {
    fn empty(new: &Connection) -> rusqlite::Result<Self> {
        let last: usize =
            new.query_row("SELECT coalesce(max(id), 0) FROM conversations", [], |row| row.get(0))?;
        Ok(Self(vec![[0; 2]; last + 1]))
    }

    /// Counts a message; returns its `ordinal` and its `sent`.
    fn count(&mut self, conversation: i64, sender: i64, recipient: i64) -> Option<(u32, u32)> {
        let sent_counts = self.0.get_mut(usize::try_from(conversation).ok()?)?;
        let sent = &mut sent_counts[usize::from(sender > recipient)];
        *sent += 1;
        let sent = *sent;
        Some((sent_counts[0] + sent_counts[1], sent))
    }
}

/// Copies all events in commit order, which is also the order of each log, so that they can be counted meanwhile.
fn events(new: &Connection, done: &Progress) -> Result<(), MigrationError> {
    let mut sent_counts = SentCounts::empty(new)?;
    let mut query = new.prepare(
        "SELECT pos, conversation, seq, sender, recipient, kind, id, at, timestamp, client_id, body, metadata, sender_name
         FROM old.events ORDER BY pos",
    )?;
    let mut insert = new.prepare(
        "INSERT INTO events(pos, conversation, seq, sender, kind, id, at, timestamp, client_id, body, metadata, sender_name,
            ordinal, sent) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (pos, conversation) = (row.get(0)?, row.get(1)?);
        let counted = sent_counts.count(conversation, row.get(3)?, row.get(4)?);
        let (ordinal, sent) = counted.ok_or(MigrationError::Conversation(pos, conversation))?;
        // Values are copied as they are, without parsing.
        for (place, column) in [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12].into_iter().enumerate() {
            insert.raw_bind_parameter(place + 1, Raw(row.get_ref(column)?))?;
        }
        insert.raw_bind_parameter(13, ordinal)?;
        insert.raw_bind_parameter(14, sent)?;
        insert.raw_execute()?;
        done.copied.fetch_add(1, Relaxed);
    }
    done.has_all()
}

/// A value that is copied from one row to another.
struct Raw<'r>(ValueRef<'r>);

impl ToSql for Raw<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0))
    }
}

/// The progress of the copying thread.
#[derive(Debug, Default)]
struct Progress {
    total: AtomicU64,
    copied: AtomicU64,
}

impl Progress {
    /// The number of copied messages, and of all.
    fn counts(&self) -> (u64, u64) {
        (self.total.load(Relaxed), self.copied.load(Relaxed))
    }

    fn has_all(&self) -> Result<(), MigrationError> {
        let (total, copied) = self.counts();
        if copied == total { Ok(()) } else { Err(MigrationError::Missing { copied, total }) }
    }
}

/// Reports progress; SQLite calls it every few steps of its virtual machine.
struct Report {
    tell: ReportProgress,
    from: usize,
    done: Arc<Progress>,
    /// Steps spent on creating indexes.
    steps: u64,
    begun: Instant,
    told: Instant,
}

impl Report {
    fn new(from: usize, done: &Arc<Progress>, tell: &ReportProgress) -> Self {
        let now = Instant::now();
        Self { tell: Arc::clone(tell), from, done: Arc::clone(done), steps: 0, begun: now, told: now }
    }

    fn stepped(&mut self) {
        let (total, copied) = self.done.counts();
        if total > 0 && copied == total {
            self.steps += u64::from(STEPS.unsigned_abs());
        }
        if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            self.report();
        }
    }

    fn report(&self) {
        let (total, copied) = self.done.counts();
        let part = part(total, copied, self.steps);
        let passed = self.begun.elapsed();
        let left = (passed * (1000 - part) / part).as_secs() + 1;
        let rate = u128::from(copied) * 1000 / passed.as_millis().max(1);
        let (from, to, percent) = (self.from, schema::VERSION, part / 10);
        (self.tell)(&format!(
            "migrating {total} messages from version {from} to version {to}: {percent} %, {rate} messages/s, {left} s left"
        ));
    }
}

/// The completed part in thousandths; at least 1.
fn part(total: u64, copied: u64, steps: u64) -> u32 {
    let copied = copied * COPYING / total.max(1);
    let indexed = steps * (1000 - COPYING) / (total * STEPS_PER_MESSAGE).max(1);
    u32::try_from(copied + indexed.min(999 - COPYING)).unwrap_or(1000).clamp(1, 1000)
}

#[cfg(test)]
mod tests {
    use super::super::{file, query, unread};
    use super::*;
    use crate::store::no_progress;
    use protocol::native::Durability;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::sync::Mutex;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    /// Ann sent Bob three messages, one of which he read; Bob answered and sent the last one. Bob has a note to self. Two names that look
    /// alike are registered.
    fn make_old(path: &Path, version: usize) {
        let connection = Connection::open(path).unwrap();
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
        schema::create_old(&connection, version);
        let place = if version < 3 { "seen_pos" } else { "read_to" };
        let rows = format!(
            "INSERT INTO users(id, key, name) VALUES (1, 'ann', 'Ann'), (2, 'bob', 'bob'), (3, 'bob1', 'Bob1'), (4, 'bobl', 'bobl');
            INSERT INTO registrations(user, name, first_seen, last_seen) VALUES (3, 'Bob1', 1, 1), (4, 'bobl', 2, 2), (1, 'ann', 3, 3);
            INSERT INTO conversations(id, key) VALUES (1, 'dm:ann:bob'), (7, 'dm:bob:bob');
            INSERT INTO events(pos, conversation, seq, sender, recipient, id, at, kind, client_id, body, sender_name) VALUES
                (3, 1, 1, 1, 2, zeroblob(16), 1, 0, 'a', 'one', NULL), (4, 1, 2, 1, 2, zeroblob(16), 2, 0, 'b', 'two', 'ANN'),
                (5, 1, 3, 2, 1, zeroblob(16), 3, 0, 'c', 'yes', NULL), (6, 1, 4, 1, 2, zeroblob(16), 4, 0, 'd', 'three', NULL),
                (7, 7, 1, 2, 2, zeroblob(16), 5, 0, 'n', 'note', NULL), (9, 1, 6, 2, 1, zeroblob(16), 5, 0, 'e', 'no', NULL);
            INSERT INTO members(user, conversation, seen, {place}, unread) VALUES (1, 1, 6, 0, 0), (2, 1, 1, 0, 1), (2, 7, 0, 0, 1);
            INSERT INTO devices(id, user, name, used) VALUES (1, 2, 'phone', 1);
            INSERT INTO device_cursors(device, conversation, seen) VALUES (1, 1, 1);
            INSERT INTO state(owner, key, value) VALUES (1, 'k', '7');"
        );
        connection.execute_batch(&rows).unwrap();
        // Like a killed process: the rows are in the log.
        connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    }

    fn open(path: &Path) -> Connection {
        file::open(path, Durability::Fsync, &no_progress()).unwrap()
    }

    fn bodies(connection: &Connection, who: &str, after: i64) -> Vec<String> {
        let draft = unread::Draft::begin(connection, &name(who), after).unwrap();
        let plan = draft.advance(connection).unwrap().finish();
        let (page, _) = plan.page(connection, &name(who), after, 9).unwrap();
        page.events.iter().map(|event| event.body.to_string()).collect()
    }

    fn assert_is_migrated(connection: &Connection) {
        assert_eq!(schema::version(connection).unwrap(), schema::Version::Ours(schema::VERSION));
        assert_eq!(bodies(connection, "bob", 0), ["two", "three", "note"]);
        assert_eq!(bodies(connection, "bob", 4), ["three", "note"]);
        assert!(bodies(connection, "ann", 0).is_empty());
        let unread = |who| {
            let all = query::conversations(connection, &name(who), 9).unwrap();
            all.iter().map(|of| (of.conversation.to_string(), of.seen, of.unseen)).collect::<Vec<_>>()
        };
        let (both, notes) = ("dm:ann:bob".to_owned(), "dm:bob:bob".to_owned());
        assert_eq!(unread("bob"), [(both.clone(), 1, 2), (notes, 0, 1)]);
        assert_eq!(unread("ann"), [(both, 6, 0)]);
        let counted = connection.prepare("SELECT ordinal, sent FROM events ORDER BY pos").unwrap();
        let counted = { counted }
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<Vec<(u8, u8)>, _>>();
        assert_eq!(counted.unwrap(), [(1, 1), (2, 2), (3, 1), (4, 3), (1, 1), (5, 2)]);
        let alike = query::lookalike(connection, &name("BOBI")).unwrap();
        assert_eq!(alike.map(|name| name.to_string()), Some("Bob1".to_owned()), "the first of them");
        let one = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(one("SELECT count(*) FROM device_cursors WHERE cursor = 1"), 1);
        assert_eq!(one("SELECT count(*) FROM state"), 1);
        assert_eq!(one("SELECT length(value) FROM meta WHERE key = 'log'"), 16);
        assert_eq!(one("SELECT count(*) FROM events WHERE sender_name = 'ANN'"), 1);
    }

    #[test]
    fn a_file_of_each_older_version_is_migrated_and_kept() {
        for version in 1..schema::VERSION {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("chat.db");
            make_old(&path, version);
            let log = (version > 3).then(|| {
                let old = Connection::open(&path).unwrap();
                old.query_row("SELECT value FROM meta", [], |row| row.get::<_, Vec<u8>>(0)).unwrap()
            });
            let connection = open(&path);
            assert_is_migrated(&connection);
            if let Some(log) = log {
                assert_eq!(
                    connection
                        .query_row("SELECT value FROM meta", [], |row| row.get::<_, Vec<u8>>(0))
                        .unwrap(),
                    log
                );
            }
            drop(connection);
            let kept = directory.path().join(format!("chat.db.v{version}.bak"));
            let old = Connection::open(&kept).unwrap();
            assert_eq!(schema::version(&old).unwrap(), schema::Version::Ours(version));
            assert_eq!(
                old.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, u64>(0)).unwrap(),
                6
            );
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "nothing else is left");
            assert_is_migrated(&open(&path));
        }
    }

    #[test]
    fn leftovers_of_a_killed_migration_do_no_harm() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat.db");
        make_old(&path, 5);
        // Killed while copying; killed when the old file had its second name.
        for left in [".part", ".bak.part"] {
            std::fs::write(beside(&path, left), "half a file").unwrap();
        }
        std::fs::hard_link(&path, beside(&path, ".v5.bak")).unwrap();
        let old = std::fs::metadata(&path).unwrap().ino();
        assert_is_migrated(&open(&path));
        assert_eq!(std::fs::metadata(beside(&path, ".v5.bak")).unwrap().ino(), old);
        assert!(!beside(&path, ".part").exists() && !beside(&path, ".bak.part").exists());
    }

    #[test]
    fn a_file_that_another_program_writes_to_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat.db");
        make_old(&path, 5);
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE; INSERT INTO users(key, name) VALUES ('x', 'x')").unwrap();
        let error = file::open(&path, Durability::Fsync, &no_progress()).unwrap_err();
        assert!(kit::failure::chain(&error).contains("locked"), "{error}");
        other.execute_batch("COMMIT").unwrap();
        drop(other);
        let connection = open(&path);
        assert_is_migrated(&connection);
        let users: u64 = connection.query_row("SELECT count(*) FROM users", [], |row| row.get(0)).unwrap();
        assert_eq!(users, 5);
    }

    #[test]
    fn a_file_in_which_something_is_missing_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat.db");
        make_old(&path, 5);
        let broken = "PRAGMA foreign_keys = OFF; UPDATE events SET conversation = 99 WHERE pos = 9";
        Connection::open(&path).unwrap().execute_batch(broken).unwrap();
        let error = file::open(&path, Durability::Fsync, &no_progress()).unwrap_err();
        assert!(kit::failure::chain(&error).contains("event 9 is of conversation 99"), "{error:?}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_reported_progress_increases_to_the_end() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&told);
        let tell: ReportProgress = Arc::new(move |line| hears.lock().unwrap().push(line.to_owned()));
        let done = Arc::new(Progress::default());
        let mut report = Report::new(3, &done, &tell);
        report.begun = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        done.total.store(1_000_000, Relaxed);
        done.copied.store(500_000, Relaxed);
        report.report();
        let told = told.lock().unwrap();
        let line =
            format!("migrating 1000000 messages from version 3 to version {}: 30 %, ", schema::VERSION);
        assert!(told[0].starts_with(&line) && told[0].ends_with(" messages/s, 24 s left"), "{told:?}");
        assert_eq!((part(0, 0, 0), part(10, 10, 0), part(10, 10, u64::MAX >> 20)), (1, 600, 999));
    }
}
