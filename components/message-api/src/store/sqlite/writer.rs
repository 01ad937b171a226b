//! The one thread that writes. The life of a command:
//!
//! * A caller puts it in the queue and waits. The queue is bounded; while it is full, callers wait to get in.
//! * The thread takes it together with whatever else queued up while the last commit ran: that is the next transaction.
//! * All are executed, then committed with one fsync. The new events are published, then every caller is answered.
//! * If anything fails, nothing was done: all callers of the transaction get the error, and the file is opened anew, for after a
//!   failed fsync nobody knows what the system still holds (Rebello et al., "Can Applications Recover from fsync Failures?").
//!   What such a commit did leave in the file is written again, found by its position and published late.

use std::path::PathBuf;
use std::sync::Arc;

use protocol::api::{Appended, CursorMove, RegisterUser};
use protocol::native::Durability;
use protocol::{ConversationId, Draft, Event};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::cache::Cache;
use super::file;
use super::ledger::{self, Ledger};
use super::progress::Progress;
use super::restore::{self, Built};
use super::row::{self, EVENT_COLUMNS, EVENT_JOINS};
use crate::store::{Committed, StatePut, StoreError};

/// Commands that wait. Each holds at most one batch, and callers are as many as HTTP connections at most.
pub(super) const QUEUE: usize = 256;
/// A transaction takes no more commands once it holds this many events: the first of them waits for the last.
const GROUP_EVENTS: usize = 4096;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something to be written.
pub(super) enum Command {
    Append(Vec<Draft>, Reply<Vec<Appended>>),
    MoveCursors(Vec<CursorMove>, Reply<()>),
    Register(RegisterUser, Reply<()>),
    PutState(StatePut, Reply<()>),
    Forget(ConversationId, u64, Reply<u64>),
    /// Takes the place of everything; never together with others.
    Restore(Built, Reply<()>),
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
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        durability: Durability,
        connection: Connection,
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
            // Closing the last connection writes the log back into the file; if that fails it is read at the next start.
            let _ = connection.close();
        }
    }

    fn write(&mut self, mut group: Vec<Command>) {
        match self.transact(&mut group) {
            Ok((events, outcomes)) => {
                self.publishing.publish(&events, self.published);
                for (command, outcome) in group.into_iter().zip(outcomes) {
                    command.answer(outcome);
                }
            }
            Err(error) => {
                tracing::error!(
                    error = kit::failure::chain(&error),
                    "a transaction failed; nothing of it was acknowledged"
                );
                self.connection = None;
                self.cache.clear();
                for command in group {
                    command.fail(error.clone());
                }
                // What it left in the file after all is published now rather than with the next command, which tries again
                // where this does not work.
                let _ = self.reopen();
            }
        }
    }

    fn restore(&mut self, built: &Built) -> Result<(), StoreError> {
        self.reopen()?;
        let connection = self.connection.as_mut().expect("it was just opened");
        restore::swap(connection, &self.path, built)?;
        self.cache.clear();
        self.published = ledger::last_pos(connection).map_err(store_error)?;
        self.publishing.progress.has_published(self.published);
        self.publishing.committed.restart();
        tracing::warn!(?built.totals, "the store is what the backup holds; the feed begins a new epoch");
        Ok(())
    }

    fn transact(&mut self, group: &mut [Command]) -> Result<(Vec<Event>, Vec<Outcome>), StoreError> {
        self.reopen()?;
        let connection = self.connection.as_mut().expect("it was just opened");
        execute(connection, &mut self.cache, &mut self.data_version, &self.publishing.progress, group)
            .inspect(|_| self.published = self.cache.pos.unwrap_or(self.published))
            .map_err(store_error)
    }

    /// Opens the file again after a failure, and publishes what the failed commit left in it after all.
    fn reopen(&mut self) -> Result<(), StoreError> {
        if self.connection.is_some() {
            return Ok(());
        }
        let connection = file::open(&self.path, self.durability)
            .map_err(|error| StoreError::because("the store cannot be opened again", error))?;
        let missed = events_after(&connection, self.published).map_err(store_error)?;
        self.published = ledger::last_pos(&connection).map_err(store_error)?;
        self.publishing.publish(&missed, self.published);
        self.connection = Some(connection);
        self.data_version = None;
        Ok(())
    }
}

fn execute(
    connection: &mut Connection,
    cache: &mut Cache,
    data_version: &mut Option<i64>,
    progress: &Progress,
    group: &mut [Command],
) -> rusqlite::Result<(Vec<Event>, Vec<Outcome>)> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = transaction.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
    if data_version.replace(version) != Some(version) {
        cache.clear();
    }
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
            Self::Register(..) | Self::PutState(..) | Self::Forget(..) | Self::Restore(..) => 1,
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
                | Self::Restore(_, reply),
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
            Self::MoveCursors(_, reply)
            | Self::Register(_, reply)
            | Self::PutState(_, reply)
            | Self::Restore(_, reply) => {
                drop(reply.send(Err(error)));
            }
        }
    }
}

/// What SQLite says, in words an operator can act on.
pub(super) fn store_error(error: rusqlite::Error) -> StoreError {
    let detail = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; nothing can be stored until there is room",
        Some(ErrorCode::SystemIoFailure) => "the disk reports an error",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => "the database file cannot be written",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds the database file"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "the database file is damaged",
        _ => "the database reports an error",
    };
    StoreError::because(detail, error)
}
