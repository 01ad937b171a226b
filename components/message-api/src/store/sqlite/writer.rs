//! The one thread that writes. The life of a command:
//!
//! * A caller puts it in the queue and waits. The queue is bounded; while it is full, callers wait to get in.
//! * The thread takes it together with whatever else queued up while the last commit ran: that is the next transaction.
//! * All are executed, then committed with one fsync. The new events are published, then every caller is answered.
//! * If anything fails, nothing was done: all callers of the transaction get the error, and the file is opened anew, for after a
//!   failed fsync nobody knows what the system still holds (Rebello et al., "Can Applications Recover from fsync Failures?").
//!   What such a commit did leave in the file is written again, found by its position and published late.
//! * If the file or its log is no longer at its path, or another program took messages out of it, nothing is acknowledged any more
//!   ([`Files`]). Storing goes on by itself only when the very same file is back: a new one in its place would begin without
//!   anything that was stored before, and that is for an operator to decide.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::api::{Appended, CursorMove, RegisterUser};
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
use crate::store::{COMMITS, Committed, StatePut, StoreError, silent};

/// Commands that wait. Each holds at most one batch, and callers are as many as HTTP connections at most.
pub(super) const QUEUE: usize = 256;
/// A transaction takes no more commands once it holds this many events: the first of them waits for the last.
const GROUP_EVENTS: usize = 4096;
/// That another program writes into the file is said once in this time.
const FOREIGN_NEWS: Duration = Duration::from_secs(60);

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something to be written.
pub(super) enum Command {
    Append(Vec<Draft>, Reply<Vec<Appended>>),
    MoveCursors(Vec<CursorMove>, Reply<()>),
    Register(RegisterUser, Reply<()>),
    PutState(StatePut, Reply<()>),
    Forget(ConversationId, u64, Reply<u64>),
    /// Nothing, in the same way as everything else.
    Probe(Reply<()>),
    /// Takes the place of everything; never together with others. Answers with the file that keeps what was there before.
    Restore(Built, Reply<PathBuf>),
}

/// What to tell a command's caller once the transaction is committed.
enum Outcome {
    Appended(Vec<Appended>),
    Removed(u64),
    Done,
    Refused(StoreError),
}

/// Who is told of what was committed.
pub(super) struct Publishing {
    pub(super) committed: Arc<dyn Committed>,
    pub(super) progress: Arc<Progress>,
}

impl Publishing {
    /// These end at `pos`.
    fn publish(&self, events: &[Event], pos: i64) {
        self.committed.publish(events);
        self.progress.has_published(pos);
    }
}

/// The writer's thread and all it owns.
pub(super) struct Writer {
    path: PathBuf,
    durability: Durability,
    /// `None` after a failure, until it could be opened again.
    connection: Option<Connection>,
    cache: Cache,
    publishing: Publishing,
    /// Up to here every event was published.
    published: i64,
    /// `PRAGMA data_version` of the last transaction: it changes when another process writes.
    data_version: Option<i64>,
    /// What is open.
    files: Files,
    /// Nothing is acknowledged now.
    stopped: Option<Stopped>,
    told_of_foreign: Option<Instant>,
}

/// Why nothing is acknowledged.
struct Stopped {
    error: StoreError,
    /// It is over once the files are back at their paths; otherwise only a restart ends it.
    until_back: bool,
}

/// Why a transaction was not acknowledged, and what follows for the connection.
enum Failed {
    /// It did not begin: nothing happened.
    Unbegun(StoreError),
    /// Nobody knows what is in the file.
    Broken(StoreError),
    /// What is open is no longer what is stored.
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

    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut next = None;
        while let Some(first) = next.take().or_else(|| queue.blocking_recv()) {
            if let Command::Restore(built, reply) = first {
                // A caller that went away is not told.
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
            Ok((events, outcomes)) => {
                if !events.is_empty() {
                    COMMITS.note(begun.elapsed());
                }
                self.publishing.publish(&events, self.published);
                for (command, outcome) in group.into_iter().zip(outcomes) {
                    command.answer(outcome);
                }
            }
            Err(failed) => self.fail(failed, group),
        }
    }

    fn fail(&mut self, failed: Failed, group: Vec<Command>) {
        let (error, is_broken) = match failed {
            Failed::Unbegun(error) | Failed::Stopped(error) => (error, false),
            Failed::Broken(error) => (error, true),
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
        // What a broken one left in the file after all is published now rather than with the next command, which tries again where
        // this does not work.
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

    fn transact(&mut self, group: &mut [Command]) -> Result<(Vec<Event>, Vec<Outcome>), Failed> {
        self.reopen().map_err(Failed::Unbegun)?;
        let mut connection = self.connection.take().expect("it was just opened");
        let done = self.transact_on(&mut connection, group);
        self.connection = Some(connection);
        done
    }

    fn transact_on(
        &mut self,
        connection: &mut Connection,
        group: &mut [Command],
    ) -> Result<(Vec<Event>, Vec<Outcome>), Failed> {
        let path = self.path.clone();
        let of_sqlite = |error| store_error(&path, error);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| {
                if is_busy(&error) {
                    Failed::Unbegun(of_sqlite(error))
                } else {
                    Failed::Broken(of_sqlite(error))
                }
            })?;
        self.look_for_others(&transaction)?;
        let done = execute(transaction, &mut self.cache, &self.publishing.progress, group)
            .map_err(|error| Failed::Broken(of_sqlite(error)))?;
        self.files.check().map_err(|lost| Failed::Stopped(self.stop_on(connection, lost)))?;
        self.published = self.cache.pos.unwrap_or(self.published);
        Ok(done)
    }

    /// Another program may write into the file: SQLite keeps the two apart, and what is remembered of the file is forgotten. What it
    /// wrote is not on the feed. But it may not have made another file of it, or taken out what was acknowledged: the places of that
    /// would be given away again.
    fn look_for_others(&mut self, transaction: &Transaction<'_>) -> Result<(), Failed> {
        let path = self.path.clone();
        let broken = |error| Failed::Broken(store_error(&path, error));
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
        if self.told_of_foreign.is_none_or(|told| told.elapsed() > FOREIGN_NEWS) {
            self.told_of_foreign = Some(Instant::now());
            let path = path.display();
            tracing::warn!(%path, "another program writes to the database file; its messages are not delivered to online users");
        }
        Ok(())
    }

    /// The connection stays open: while it is, nothing of what it holds is gone, and the file may come back.
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
            // What the log holds goes into the file, which is at its place: then nothing acknowledged is in the log alone.
            let saved = connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(()));
            if let Err(error) = saved {
                tracing::error!(%error, "the deleted log could not be written into the database file");
            }
        }
        self.note_stop(StoreError::because("nothing can be stored", lost), true)
    }

    fn note_stop(&mut self, error: StoreError, until_back: bool) -> StoreError {
        self.stopped = Some(Stopped { error: error.clone(), until_back });
        error
    }

    /// Opens the file again after a failure, or goes on with it where it came back, and publishes what a failed commit left in it
    /// after all.
    fn reopen(&mut self) -> Result<(), StoreError> {
        if let Some(stopped) = &self.stopped {
            if !stopped.until_back || self.files.check().is_err() {
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
        self.publishing.publish(&missed, self.published);
        self.connection = Some(connection);
        (self.data_version, self.stopped) = (None, None);
        Ok(())
    }

    /// Never another file than before: one that is made, or was put there, has nothing of what was acknowledged.
    fn open_again(&mut self) -> Result<Connection, StoreError> {
        self.files.check_file().map_err(|lost| StoreError::because("nothing can be stored", lost))?;
        let connection = file::open(&self.path, self.durability, &silent())
            .map_err(|error| StoreError::because("the store cannot be opened again", error))?;
        let files =
            Files::opened(&self.path).map_err(|lost| StoreError::because("nothing can be stored", lost))?;
        self.files = files;
        Ok(connection)
    }
}

/// What is in the log stays there when the connection is closed: at its path may be the log of another file.
fn leave_log(connection: &Connection) {
    // It cannot fail: the option is known to the SQLite that is built in.
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
) -> rusqlite::Result<(Vec<Event>, Vec<Outcome>)> {
    let mut ledger = Ledger { connection: &transaction, cache, events: Vec::new() };
    let mut outcomes = Vec::with_capacity(group.len());
    for command in group {
        outcomes.push(command.execute(&mut ledger)?);
    }
    let events = ledger.events;
    if !events.is_empty() {
        progress.commits();
    }
    transaction.commit()?;
    Ok((events, outcomes))
}

/// Bounded by what one transaction can hold.
fn events_after(connection: &Connection, pos: i64) -> rusqlite::Result<Vec<Event>> {
    let sql =
        format!("SELECT {EVENT_COLUMNS} FROM events AS e {EVENT_JOINS} WHERE e.pos > ?1 ORDER BY e.pos");
    connection.prepare(&sql)?.query_map([pos], row::event)?.collect()
}

impl Command {
    fn size(&self) -> usize {
        match self {
            Self::Append(drafts, _) => drafts.len(),
            Self::MoveCursors(moves, _) => moves.len(),
            Self::Register(..)
            | Self::PutState(..)
            | Self::Forget(..)
            | Self::Probe(_)
            | Self::Restore(..) => 1,
        }
    }

    /// Drafts are moved out: a command is executed once, whatever comes of it.
    fn execute(&mut self, ledger: &mut Ledger<'_>) -> rusqlite::Result<Outcome> {
        match self {
            Self::Append(drafts, _) => {
                let drafts = std::mem::take(drafts).into_iter();
                drafts.map(|draft| ledger.append(draft)).collect::<Result<_, _>>().map(Outcome::Appended)
            }
            Self::MoveCursors(moves, _) => {
                moves.iter().try_for_each(|to| ledger.move_cursor(to)).map(|()| Outcome::Done)
            }
            Self::Register(user, _) => ledger.register(user).map(|()| Outcome::Done),
            Self::PutState(put, _) => {
                ledger.put_state(put).map(|done| done.map_or_else(Outcome::Refused, |()| Outcome::Done))
            }
            Self::Forget(conversation, up_to, _) => ledger.forget(conversation, *up_to).map(Outcome::Removed),
            Self::Probe(_) => Ok(Outcome::Done),
            Self::Restore(..) => unreachable!("a restore is not part of a transaction"),
        }
    }

    /// A caller that went away is not told.
    fn answer(self, outcome: Outcome) {
        match (self, outcome) {
            (Self::Append(_, reply), Outcome::Appended(results)) => drop(reply.send(Ok(results))),
            (Self::Forget(_, _, reply), Outcome::Removed(count)) => drop(reply.send(Ok(count))),
            (
                Self::MoveCursors(_, reply)
                | Self::Register(_, reply)
                | Self::PutState(_, reply)
                | Self::Probe(reply),
                Outcome::Done,
            ) => drop(reply.send(Ok(()))),
            (command, Outcome::Refused(error)) => command.fail(error),
            // Execute yields what its command asks for; a command without its outcome is not answered, which its caller takes for
            // a closed store.
            (_, Outcome::Appended(_) | Outcome::Removed(_) | Outcome::Done) => {
                debug_assert!(false, "execute yields what its command asks for");
            }
        }
    }

    fn fail(self, error: StoreError) {
        match self {
            Self::Append(_, reply) => drop(reply.send(Err(error))),
            Self::Forget(_, _, reply) => drop(reply.send(Err(error))),
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
