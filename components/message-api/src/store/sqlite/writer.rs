//! The only thread that writes. The life of a command:
//!
//! * A caller queues it and waits. The queue is bounded; while it is full, callers wait for a place.
//! * The thread takes all commands that were queued during the last commit: they form the next transaction.
//! * All are executed, then committed with one fsync. The new events are published, then the callers are answered.
//! * If anything fails, nothing was done: all callers of the transaction get the error, and the file is reopened, because after a failed
//!   fsync the state of the system's cache is unknown (Rebello et al., "Can Applications Recover from fsync Failures?"). If such a commit
//!   reached the file after all, it is rewritten, found by its position and published late.
//! * If the file or its log is no longer at its path, or another program deleted messages, nothing is acknowledged any more ([`Files`]).
//!   Storing resumes by itself only if the same file is back: a new file in its place would lack everything stored before, and an operator
//!   must decide that.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::api::{Appended, CursorMove, OwnBatch, RegisterUser};
use protocol::native::Durability;
use protocol::{ConversationId, Draft, Event};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::cache::Cache;
use super::file;
use super::files::{Files, Lost};
use super::ledger::{self, Ledger};
use super::progress::Progress;
use super::restore::{self, Built};
use super::row::{self, EVENT_COLUMNS, EVENT_JOINS};
use super::schema::{self, Version};
use super::store_error::store_error;
use crate::store::{COMMITS, Committed, News, StatePut, StoreError, no_progress};

/// Commands in the queue. Each has at most one batch, and there are as many callers as HTTP connections at most.
pub(super) const QUEUE: usize = 256;
/// A transaction takes no more commands once it has this many events, because the first of them waits for the last.
const GROUP_EVENTS: usize = 4096;
/// Another program's writes are logged at most once in this time.
const FOREIGN_WRITES_LOGGED: Duration = Duration::from_secs(60);

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A command to the writer.
pub(super) enum Command {
    Append(Vec<Draft>, Option<OwnBatch>, Reply<Vec<Appended>>),
    MoveCursors(Vec<CursorMove>, Reply<()>),
    Register(RegisterUser, Reply<()>),
    PutState(StatePut, Reply<()>),
    DeleteUpTo(ConversationId, u64, Reply<u64>),
    /// Writes nothing, but like everything else.
    Probe(Reply<()>),
    /// Replaces the content; never in a group with others. Returns the path of the previous content.
    Restore(Built, Reply<PathBuf>),
}

/// The result for a command's caller once the transaction is committed.
enum Outcome {
    Appended(Vec<Appended>),
    Removed(u64),
    Done,
    Refused(StoreError),
}

/// Publishes what was committed.
pub(super) struct Publishing {
    pub(super) committed: Arc<dyn Committed>,
    pub(super) progress: Arc<Progress>,
}

impl Publishing {
    /// Publishes these events, which end at `pos`.
    fn publish(&self, news: News, pos: i64) {
        self.committed.publish(news);
        self.progress.has_published(pos);
    }
}

/// The writer's thread and its state.
pub(super) struct Writer {
    path: PathBuf,
    durability: Durability,
    /// `None` after a failure, until the file is open again.
    connection: Option<Connection>,
    cache: Cache,
    publishing: Publishing,
    /// The position up to which every event was published.
    published: i64,
    /// `PRAGMA data_version` of the last transaction: it changes when another process writes.
    data_version: Option<i64>,
    /// The open files.
    files: Files,
    /// Set while nothing is acknowledged.
    stopped: Option<Stopped>,
    told_of_foreign: Option<Instant>,
}

/// Why nothing is acknowledged.
struct Stopped {
    error: StoreError,
    /// Whether it ends once the files are back at their paths; otherwise only a restart ends it.
    until_restored: bool,
}

/// Why a transaction was not acknowledged, and what happened to it.
enum Failed {
    /// It did not begin: nothing happened.
    NotStarted(StoreError),
    /// Its outcome in the file is unknown.
    Unknown(StoreError),
    /// The open file is no longer the store.
    Stopped(StoreError),
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        durability: Durability,
        connection: Connection,
        files: Files,
        publishing: Publishing,
    ) -> rusqlite::Result<Self> {
        let published = ledger::last_pos(&connection)?;
        let connection = Some(connection);
        Ok(Self {
            path,
            durability,
            connection,
            cache: Cache::new(),
            publishing,
            published,
            data_version: None,
            files,
            stopped: None,
            told_of_foreign: None,
        })
    }

    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut next = None;
        while let Some(first) = next.take().or_else(|| queue.blocking_recv()) {
            if let Command::Restore(built, reply) = first {
                // The caller may have disconnected.
                let _ = reply.send(self.restore(&built));
                continue;
            }
            let mut size = first.size();
            let mut group = vec![first];
            while size < GROUP_EVENTS
                && let Ok(command) = queue.try_recv()
            {
                if matches!(command, Command::Restore(..)) {
                    next = Some(command);
                    break;
                }
                size += command.size();
                group.push(command);
            }
            self.write(group);
        }
        if let Some(connection) = self.connection.take() {
            if self.stopped.is_some() {
                leave_log(&connection);
            }
            // Closing the last connection writes the log back into the file; if that fails it is read at the next start.
            let _ = connection.close();
        }
    }

    fn write(&mut self, mut group: Vec<Command>) {
        let begun = Instant::now();
        match self.transact(&mut group) {
            Ok((news, outcomes)) => {
                if !news.events.is_empty() {
                    COMMITS.note(begun.elapsed());
                }
                self.publishing.publish(news, self.published);
                for (command, outcome) in group.into_iter().zip(outcomes) {
                    command.answer(outcome);
                }
            }
            Err(failed) => self.fail(failed, group),
        }
    }

    fn fail(&mut self, failed: Failed, group: Vec<Command>) {
        let (error, is_broken) = match failed {
            Failed::NotStarted(error) | Failed::Stopped(error) => (error, false),
            Failed::Unknown(error) => (error, true),
        };
        tracing::error!(
            error = kit::failure::chain(&error),
            "a transaction failed; nothing of it was acknowledged"
        );
        self.cache.clear();
        if is_broken {
            self.connection = None;
        }
        for command in group {
            command.fail(error.clone());
        }
        // If the failed commit reached the file, it is published now instead of with the next command, which tries again if this fails.
        let _ = self.reopen();
    }

    fn restore(&mut self, built: &Built) -> Result<PathBuf, StoreError> {
        self.reopen()?;
        self.files.check().map_err(|lost| self.stop(lost))?;
        let connection = self.connection.as_mut().expect("it was just opened");
        let kept = restore::swap(connection, &self.path, built)?;
        self.cache.clear();
        self.published = ledger::last_pos(connection).map_err(|error| store_error(&self.path, error))?;
        self.publishing.progress.has_published(self.published);
        self.publishing.committed.restart();
        tracing::warn!(?built.totals, "restored the backup; the feed starts a new epoch");
        Ok(kept)
    }

    fn transact(&mut self, group: &mut [Command]) -> Result<(News, Vec<Outcome>), Failed> {
        self.reopen().map_err(Failed::NotStarted)?;
        let mut connection = self.connection.take().expect("it was just opened");
        let done = self.transact_on(&mut connection, group);
        self.connection = Some(connection);
        done
    }

    fn transact_on(
        &mut self,
        connection: &mut Connection,
        group: &mut [Command],
    ) -> Result<(News, Vec<Outcome>), Failed> {
        let path = self.path.clone();
        let of_sqlite = |error| store_error(&path, error);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| {
                if is_busy(&error) {
                    Failed::NotStarted(of_sqlite(error))
                } else {
                    Failed::Unknown(of_sqlite(error))
                }
            })?;
        self.check_foreign_writes(&transaction)?;
        let done = execute(transaction, &mut self.cache, &self.publishing.progress, group)
            .map_err(|error| Failed::Unknown(of_sqlite(error)))?;
        self.files.check().map_err(|lost| Failed::Stopped(self.stop_on(connection, lost)))?;
        self.published = self.cache.pos.unwrap_or(self.published);
        Ok(done)
    }

    /// Another program may write into the file: SQLite isolates the two, and the cache is cleared. Its events are not on the feed. But it
    /// must not have replaced the file, or deleted what was acknowledged: that `seq` would be assigned again.
    fn check_foreign_writes(&mut self, transaction: &Transaction<'_>) -> Result<(), Failed> {
        let path = self.path.clone();
        let broken = |error| Failed::Unknown(store_error(&path, error));
        let version = transaction
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut query| query.query_row([], |row| row.get::<_, i64>(0)))
            .map_err(broken)?;
        let before = self.data_version.replace(version);
        if before == Some(version) {
            return Ok(());
        }
        self.cache.clear();
        if before.is_none() {
            return Ok(());
        }
        if schema::version(transaction).map_err(broken)? != Version::Ours(schema::VERSION) {
            let detail =
                format!("another program changed the tables of '{}'; restart message-api", path.display());
            return Err(Failed::Stopped(self.note_stop(StoreError::unavailable(detail), false)));
        }
        if ledger::last_pos(transaction).map_err(broken)? < self.published {
            let detail = format!(
                "another program deleted messages from '{}'; restart message-api to go on with what is left",
                path.display()
            );
            return Err(Failed::Stopped(self.note_stop(StoreError::unavailable(detail), false)));
        }
        if self.told_of_foreign.is_none_or(|told| told.elapsed() > FOREIGN_WRITES_LOGGED) {
            self.told_of_foreign = Some(Instant::now());
            let path = path.display();
            tracing::warn!(%path, "another program writes to the database file; its messages are not delivered to online users");
        }
        Ok(())
    }

    /// The connection stays open: while it is, its content is not lost, and the file may come back.
    fn stop(&mut self, lost: Lost) -> StoreError {
        let connection = self.connection.take();
        let error = match &connection {
            Some(connection) => self.stop_on(connection, lost),
            None => self.note_stop(StoreError::because("nothing can be stored", lost), true),
        };
        self.connection = connection;
        error
    }

    fn stop_on(&mut self, connection: &Connection, lost: Lost) -> StoreError {
        if matches!(lost, Lost::Log(_)) {
            // Writes the log into the file, which is at its path: then nothing acknowledged is in the log alone.
            let saved = connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(()));
            if let Err(error) = saved {
                tracing::error!(%error, "the deleted log could not be written into the database file");
            }
        }
        self.note_stop(StoreError::because("nothing can be stored", lost), true)
    }

    fn note_stop(&mut self, error: StoreError, until_restored: bool) -> StoreError {
        self.stopped = Some(Stopped { error: error.clone(), until_restored });
        error
    }

    /// Opens the file again after a failure, or resumes with it if it is back at its path, and publishes what a failed commit left in it.
    fn reopen(&mut self) -> Result<(), StoreError> {
        if let Some(stopped) = &self.stopped {
            if !stopped.until_restored || self.files.check().is_err() {
                return Err(stopped.error.clone());
            }
            tracing::warn!(path = %self.path.display(), "the database file is back; storing messages again");
        } else if self.connection.is_some() {
            return Ok(());
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.open_again()?,
        };
        let path = self.path.clone();
        let of_sqlite = |error| store_error(&path, error);
        let missed = events_after(&connection, self.published).map_err(of_sqlite)?;
        self.published = ledger::last_pos(&connection).map_err(of_sqlite)?;
        self.publishing.publish(missed.into(), self.published);
        self.connection = Some(connection);
        (self.data_version, self.stopped) = (None, None);
        Ok(())
    }

    /// Never opens another file than before: a new file has nothing of what was acknowledged.
    fn open_again(&mut self) -> Result<Connection, StoreError> {
        self.files.check_file().map_err(|lost| StoreError::because("nothing can be stored", lost))?;
        let connection = file::open(&self.path, self.durability, &no_progress())
            .map_err(|error| StoreError::because("the store cannot be opened again", error))?;
        let files =
            Files::opened(&self.path).map_err(|lost| StoreError::because("nothing can be stored", lost))?;
        self.files = files;
        Ok(connection)
    }
}

/// Keeps the log when the connection is closed: its path may have the log of another file.
fn leave_log(connection: &Connection) {
    // Cannot fail: the bundled SQLite supports the option.
    let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn execute(
    transaction: Transaction<'_>,
    cache: &mut Cache,
    progress: &Progress,
    group: &mut [Command],
) -> rusqlite::Result<(News, Vec<Outcome>)> {
    let mut ledger = Ledger { connection: &transaction, cache, news: News::default() };
    let mut outcomes = Vec::with_capacity(group.len());
    for command in group {
        outcomes.push(command.execute(&mut ledger)?);
    }
    let news = ledger.news;
    if !news.events.is_empty() {
        progress.commits();
    }
    transaction.commit()?;
    Ok((news, outcomes))
}

/// Bounded by the size of a transaction.
fn events_after(connection: &Connection, pos: i64) -> rusqlite::Result<Vec<Event>> {
    let sql =
        format!("SELECT {EVENT_COLUMNS} FROM events AS e {EVENT_JOINS} WHERE e.pos > ?1 ORDER BY e.pos");
    connection.prepare(&sql)?.query_map([pos], row::event)?.collect()
}

impl Command {
    fn size(&self) -> usize {
        match self {
            Self::Append(drafts, _, _) => drafts.len(),
            Self::MoveCursors(moves, _) => moves.len(),
            Self::Register(..)
            | Self::PutState(..)
            | Self::DeleteUpTo(..)
            | Self::Probe(_)
            | Self::Restore(..) => 1,
        }
    }

    /// Drafts are moved out: a command is executed once, whatever its result.
    fn execute(&mut self, ledger: &mut Ledger<'_>) -> rusqlite::Result<Outcome> {
        match self {
            Self::Append(drafts, own, _) => {
                ledger.append_all(std::mem::take(drafts), *own).map(Outcome::Appended)
            }
            Self::MoveCursors(moves, _) => {
                moves.iter().try_for_each(|to| ledger.move_cursor(to)).map(|()| Outcome::Done)
            }
            Self::Register(user, _) => ledger.register(user).map(|()| Outcome::Done),
            Self::PutState(put, _) => {
                ledger.put_state(put).map(|done| done.map_or_else(Outcome::Refused, |()| Outcome::Done))
            }
            Self::DeleteUpTo(conversation, up_to, _) => {
                ledger.delete_up_to(conversation, *up_to).map(Outcome::Removed)
            }
            Self::Probe(_) => Ok(Outcome::Done),
            Self::Restore(..) => unreachable!("a restore is not part of a transaction"),
        }
    }

    /// The caller may have disconnected.
    fn answer(self, outcome: Outcome) {
        match (self, outcome) {
            (Self::Append(_, _, reply), Outcome::Appended(results)) => drop(reply.send(Ok(results))),
            (Self::DeleteUpTo(_, _, reply), Outcome::Removed(count)) => drop(reply.send(Ok(count))),
            (
                Self::MoveCursors(_, reply)
                | Self::Register(_, reply)
                | Self::PutState(_, reply)
                | Self::Probe(reply),
                Outcome::Done,
            ) => drop(reply.send(Ok(()))),
            (command, Outcome::Refused(error)) => command.fail(error),
            // `execute` returns the outcome that fits the command. A caller that gets no answer considers the store closed.
            (_, Outcome::Appended(_) | Outcome::Removed(_) | Outcome::Done) => {
                debug_assert!(false, "execute yields what its command asks for");
            }
        }
    }

    fn fail(self, error: StoreError) {
        match self {
            Self::Append(_, _, reply) => drop(reply.send(Err(error))),
            Self::DeleteUpTo(_, _, reply) => drop(reply.send(Err(error))),
            Self::Restore(_, reply) => drop(reply.send(Err(error))),
            Self::MoveCursors(_, reply)
            | Self::Register(_, reply)
            | Self::PutState(_, reply)
            | Self::Probe(reply) => {
                drop(reply.send(Err(error)));
            }
        }
    }
}
