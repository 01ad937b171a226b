//! Replaces the content of the file with that of a backup. The life of a restore:
//!
//! * [`build`]: the backup is read into a new file beside the store's. If the backup is invalid, that file is deleted and nothing has
//!   changed.
//! * [`swap`], on the writer's thread: the present content is copied to `FILE.before-restore-TIME`, then the new one is copied over it in
//!   one transaction (<https://www.sqlite.org/backup.html>): readers, and a process that starts after a crash, see either all of the old or
//!   all of the new content. All these files are readable by their owner alone.
//!
//! A `seq` that was assigned and is not in the backup is not assigned again: the log continues after it.
//!
//! A backup has one conversation after the other; the commit order over all of them is recomputed from the times.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use protocol::api::{BackupTotals, User};
use protocol::{ConversationId, Event, Timestamp};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, params};

use super::cache::Cache;
use super::file;
use super::files::{self, beside};
use super::ledger::{self, Ledger};
use super::row;
use super::schema;
use super::store_error::store_error;
use crate::archive::{Archive, ArchiveError, Record};
use crate::store::{News, StatePut, StoreError};

/// The restore failed; nothing has changed.
#[derive(Debug, thiserror::Error)]
enum BuildError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("the new file cannot be written")]
    File(#[from] rusqlite::Error),
    #[error("the new file cannot be written")]
    System(#[from] io::Error),
    #[error("a value of a service breaks a rule")]
    State(#[source] StoreError),
    #[error("the new file does not hold what the backup does")]
    Totals,
}

/// A complete file that will replace the store's; deleted when dropped.
#[derive(Debug)]
pub(super) struct Built {
    path: PathBuf,
    pub(super) totals: BackupTotals,
}

impl Drop for Built {
    fn drop(&mut self) {
        // A leftover is overwritten by the next restore.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Reads a backup into a new file beside the store's.
pub(super) fn build(archive: &Path, store: &Path) -> Result<Built, StoreError> {
    let mut built = Built { path: beside(store, ".restoring"), totals: BackupTotals::default() };
    let result = read(archive, store, &built.path);
    built.totals = result.map_err(|error| match error {
        BuildError::Archive(error) => {
            StoreError::refused("file", format!("'{}': {}", archive.display(), kit::failure::chain(&error)))
        }
        other => StoreError::because("the backup could not be restored", other),
    })?;
    Ok(built)
}

fn read(archive: &Path, store: &Path, path: &Path) -> Result<BackupTotals, BuildError> {
    let mut archive = Archive::open(archive)?;
    files::remove_leftover(path)?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut connection = Connection::open(path)?;
    // Pages are copied unchanged, so their sizes must match.
    let page_size: i64 = Connection::open(store)?.pragma_query_value(None, "page_size", |row| row.get(0))?;
    connection.pragma_update(None, "page_size", page_size)?;
    // The new file is worthless after a crash until it is copied.
    connection.pragma_update(None, "journal_mode", "OFF")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    schema::create(&mut connection)?;
    let transaction = connection.transaction()?;
    let mut totals = BackupTotals::default();
    let mut cache = Cache::new();
    let mut ledger = Ledger { connection: &transaction, cache: &mut cache, news: News::default() };
    let mut cursors = Vec::new();
    while let Some(record) = archive.next_record()? {
        match record {
            Record::Backup { .. } => {}
            Record::User(user) => registered(&mut ledger, &user)?,
            Record::State { owner, key, value } => {
                let put = StatePut::new(owner, &key, Some(&value)).map_err(BuildError::State)?;
                ledger.put_state(&put)?.map_err(BuildError::State)?;
            }
            Record::Conversation { cursors: its, .. } => cursors = its,
            Record::Event(event) => ledger.import(&event)?,
            Record::Log { .. } => {
                for to in std::mem::take(&mut cursors) {
                    ledger.move_cursor(&to)?;
                }
            }
            Record::End { totals: all, .. } => totals = all,
        }
    }
    assign_positions(&transaction)?;
    let count = |table: &str| {
        transaction.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, u64>(0))
    };
    if count("events")? != totals.events || count("registrations")? != totals.users {
        return Err(BuildError::Totals);
    }
    transaction.commit()?;
    Ok(totals)
}

fn registered(ledger: &mut Ledger<'_>, user: &User) -> rusqlite::Result<()> {
    let id = ledger.user(&user.name)?.id;
    let mut insert = ledger.connection.prepare_cached(
        "INSERT INTO registrations(user, name, address, first_seen, last_seen, skeleton)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let (first, last) = (user.first_seen.micros(), user.last_seen.micros());
    insert.execute(params![id, user.name.as_str(), user.address, first, last, &*user.name.skeleton()])?;
    Ok(())
}

/// Orders all events by time, but those of a conversation always by `seq`, whatever their times. A time in the future counts as now,
/// because it would otherwise delay everything after it. Then derives the counts from that order.
fn assign_positions(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "CREATE TEMP TABLE place (pos INTEGER PRIMARY KEY, new INTEGER NOT NULL);
         INSERT INTO place SELECT pos, row_number() OVER (ORDER BY reached, conversation, seq) FROM
            (SELECT pos, conversation, seq, max(min(at, {now})) OVER
                (PARTITION BY conversation ORDER BY seq) AS reached FROM events);
         UPDATE events SET pos = -(SELECT new FROM place WHERE place.pos = events.pos);
         UPDATE events SET pos = -pos;
         DROP TABLE place;
         UPDATE members SET unread = EXISTS (SELECT 1 FROM events INDEXED BY log
            WHERE conversation = members.conversation AND seq > members.cursor
                AND (sender <> members.user OR (SELECT count(*) FROM members AS m WHERE m.conversation = members.conversation) = 1));",
        now = Timestamp::now().micros()
    ))
}

impl Ledger<'_> {
    /// Inserts an event at its `seq`, last in the commit order.
    fn import(&mut self, event: &Event) -> rusqlite::Result<()> {
        let sender = self.user(&event.sender)?;
        let head = self.head(&event.conversation)?;
        let (pos, counted) = (self.last_pos()? + 1, head.last.followed_by(sender.id));
        ledger::insert_event(&mut self.prepare_insert()?, pos, head.conversation, &sender, counted, event)?;
        if let Some(head) = self.cache.heads.get_mut(&event.conversation) {
            (head.seq, head.last) = (event.seq, counted);
        }
        self.cache.pos = Some(pos);
        Ok(())
    }
}

/// Replaces the old content with the new one and keeps a copy of the old; returns its path.
pub(super) fn swap(connection: &mut Connection, store: &Path, built: &Built) -> Result<PathBuf, StoreError> {
    let of_sqlite = |error| store_error(store, error);
    let copy = beside(store, &format!(".before-restore-{}", Timestamp::now().micros()));
    file::copy(connection, &copy).map_err(|error| {
        StoreError::because("cannot save the current messages, so nothing is restored", error)
    })?;
    tracing::info!(copy = %copy.display(), "saved the previous messages before the restore");
    let mut new = Connection::open(&built.path).map_err(of_sqlite)?;
    copy_floors(connection, &mut new).map_err(of_sqlite)?;
    let pages = Backup::new(&new, connection).map_err(of_sqlite)?;
    match pages.step(-1).map_err(of_sqlite)? {
        StepResult::Done => Ok(copy),
        _ => Err(StoreError::unavailable("another program holds the database file")),
    }
}

/// Keeps the highest assigned `seq` of each conversation.
fn copy_floors(old: &Connection, new: &mut Connection) -> rusqlite::Result<()> {
    let transaction = new.transaction()?;
    let mut cache = Cache::new();
    let mut ledger = Ledger { connection: &transaction, cache: &mut cache, news: News::default() };
    let mut logs = old.prepare(
        "SELECT c.key, max(c.floor, coalesce((SELECT seq FROM events
            WHERE conversation = c.id ORDER BY seq DESC LIMIT 1), 0)) FROM conversations AS c",
    )?;
    let mut logs = logs.query([])?;
    while let Some(row) = logs.next()? {
        let conversation = row::parse(row, 0, ConversationId::parse)?;
        let floor: u64 = row.get(1)?;
        let id = ledger.head(&conversation)?.conversation;
        let mut raise = transaction.prepare_cached("UPDATE conversations SET floor = ?2 WHERE id = ?1")?;
        raise.execute(params![id, floor])?;
    }
    drop(ledger);
    transaction.commit()
}
