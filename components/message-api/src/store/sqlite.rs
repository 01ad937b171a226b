//! The store in one SQLite file: nothing to install, nothing to run.
//!
//! * Writing: [`writer`] has the only writing thread, [`ledger`] the statements of a transaction, [`cache`] what they remember.
//! * Reading: [`reader`] has the connections, [`query`], [`unread`] and [`export`] the queries; [`progress`] delays a read until what it
//!   found was published.
//! * The file: [`file`] opens it, [`files`] detects that it was moved, [`inspect`](mod@inspect) checks it before it is opened,
//!   [`verify`](mod@verify) reads all of it.
//! * Content: [`schema`] has the tables, [`migration`] upgrades an older file, [`restore`] replaces it with a backup.

mod cache;
mod export;
mod file;
mod files;
mod inspect;
mod ledger;
mod migration;
mod open_error;
mod progress;
mod query;
mod reader;
mod restore;
mod row;
mod schema;
mod store_error;
mod unread;
mod verify;
mod way_back;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use protocol::api::{Appended, CursorMove, EventPage, OwnBatch, RegisterUser, Restored, Users};
use protocol::native::{ConversationSummary, Durability};
use protocol::{ConversationId, Draft, UserName};
use rusqlite::Connection;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::store::{
    Answer, Committed, Cursors, Log, Range, ReportProgress, ServiceState, StatePut, Store, StoreError,
    Unseen, UserRegistry,
};
use files::Files;
use progress::Progress;
use reader::Readers;
use unread::{Draft as Unfinished, Plan, Plans};
use writer::{Command, Publishing, QUEUE, Writer};

pub use inspect::inspect;
pub use open_error::SqliteOpenError;
pub use verify::verify;
pub use way_back::WayBack;

/// The result of beginning a plan.
enum Begun {
    /// The plan was short: its first page.
    Page(Unseen),
    /// The plan is long and unfinished; with the generation of the file.
    Long(Unfinished, u64),
}

/// A store in one file.
///
/// Bound: 256 commands wait for the writer. Overflow: further callers wait for a place.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    durability: Durability,
    /// `None` once closed.
    queue: Mutex<Option<mpsc::Sender<Command>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    readers: Readers,
    progress: Arc<Progress>,
    plans: Plans,
    was_not_closed: bool,
}

impl SqliteStore {
    /// Opens the file, creates it if it does not exist, migrates an older one with its progress reported to `tell`, and starts the writer.
    ///
    /// # Errors
    /// If the file is not a store, was made by a newer version, or cannot be written.
    pub fn open(
        path: &Path,
        durability: Durability,
        committed: Arc<dyn Committed>,
        tell: &ReportProgress,
    ) -> Result<Self, SqliteOpenError> {
        let other = |source| SqliteOpenError::Other { path: path.to_owned(), source };
        file::create(path)?;
        // SQLite resolves links, too: its log is beside the file itself.
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
        // A process that closes the file properly deletes its log.
        let was_not_closed = std::fs::metadata(files::log_of(path)).is_ok_and(|log| log.len() > 0);
        let connection = file::open(path, durability, tell)?;
        let files = Files::opened(path).map_err(|lost| SqliteOpenError::Moved(Box::new(lost)))?;
        let progress = Arc::new(Progress::default());
        let publishing = Publishing { committed, progress: Arc::clone(&progress) };
        let writer =
            Writer::new(path.to_owned(), durability, connection, files, publishing).map_err(other)?;
        let (queue, commands) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run(commands))
            .expect("the system has room for one more thread at start");
        Ok(Self {
            path: path.to_owned(),
            durability,
            queue: Mutex::new(Some(queue)),
            writer: Mutex::new(Some(thread)),
            readers: Readers::new(path.to_owned()),
            progress,
            plans: Plans::default(),
            was_not_closed,
        })
    }

    /// The highest `seq` that a conversation had assigned before a restore.
    pub(crate) async fn floor(&self, conversation: &ConversationId) -> Result<u64, StoreError> {
        let conversation = conversation.clone();
        self.readers.read(move |connection| export::floor(connection, &conversation)).await
    }

    /// Reads, and waits until everything that was read has been published.
    async fn read_published<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reading = self.readers.read(|connection| Ok((read(connection)?, ledger::last_pos(connection)?)));
        let (answer, pos) = reading.await?;
        self.progress.published(pos).await;
        Ok(answer)
    }

    async fn unread(&self, user: &UserName, after: i64, limit: usize) -> Result<Unseen, StoreError> {
        let of = user.clone();
        if after > 0
            && let Some(page) = self
                .read_published(move |connection| unread::recent_page(connection, &of, after, limit))
                .await?
        {
            return Ok(page);
        }
        let plan = match self.plans.get(user, after) {
            Some(plan) => plan,
            None => match self.begin_plan(user, after, limit).await? {
                Begun::Page(page) => return Ok(page),
                Begun::Long(draft, generation) => self.make_plan(user, draft, generation, limit).await?,
            },
        };
        let of = user.clone();
        self.read_published(move |connection| plan.page(connection, &of, after, limit))
            .await
            .map(|(page, _)| page)
    }

    /// Makes a plan, and reads the first page with it if the plan is short.
    async fn begin_plan(&self, user: &UserName, after: i64, limit: usize) -> Result<Begun, StoreError> {
        let (of, generation) = (user.clone(), self.plans.generation());
        let reading = self.read_published(move |connection| {
            let draft = Unfinished::begin(connection, &of, after)?;
            if draft.is_long() {
                return Ok(Err(draft));
            }
            let plan = draft.advance(connection)?.finish();
            let (page, _) = plan.page(connection, &of, after, limit)?;
            Ok(Ok((Arc::new(plan), page)))
        });
        match reading.await? {
            Ok((plan, page)) => {
                self.plans.keep(user, &plan, limit, generation);
                Ok(Begun::Page(page))
            }
            Err(draft) => Ok(Begun::Long(draft, generation)),
        }
    }

    /// Completes a long plan in steps. The user's other sessions wait for it instead of making the same.
    async fn make_plan(
        &self,
        user: &UserName,
        mut draft: Unfinished,
        generation: u64,
        limit: usize,
    ) -> Result<Arc<Plan>, StoreError> {
        let making = self.plans.making(user);
        let _making = making.lock().await;
        if let Some(plan) = self.plans.get(user, draft.after()) {
            return Ok(plan);
        }
        while !draft.is_done() {
            draft = self.readers.read(move |connection| draft.advance(connection)).await?;
        }
        let plan = Arc::new(draft.finish());
        self.plans.keep(user, &plan, limit, generation);
        Ok(plan)
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Command,
    ) -> Result<T, StoreError> {
        let closed = || StoreError::unavailable("the store is closed");
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (reply, answer) = oneshot::channel();
        queue.ok_or_else(closed)?.send(command(reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

impl Log for SqliteStore {
    fn events<'a>(
        &'a self,
        conversation: &'a ConversationId,
        range: Range,
        limit: usize,
    ) -> Answer<'a, EventPage> {
        let conversation = conversation.clone();
        Box::pin(
            self.read_published(move |connection| query::events(connection, &conversation, range, limit)),
        )
    }

    fn all_conversations<'a>(
        &'a self,
        after: Option<&'a ConversationId>,
        limit: usize,
    ) -> Answer<'a, Vec<ConversationId>> {
        let after = after.cloned();
        Box::pin(
            self.readers.read(move |connection| export::all_conversations(connection, after.as_ref(), limit)),
        )
    }

    fn delete_up_to<'a>(&'a self, conversation: &'a ConversationId, up_to: u64) -> Answer<'a, u64> {
        let conversation = conversation.clone();
        Box::pin(self.ask(move |reply| Command::DeleteUpTo(conversation, up_to, reply)))
    }

    fn log(&self) -> Answer<'_, Uuid> {
        Box::pin(self.readers.read(export::log))
    }
}

impl Cursors for SqliteStore {
    fn unseen<'a>(&'a self, user: &'a UserName, after: Option<&'a str>, limit: usize) -> Answer<'a, Unseen> {
        Box::pin(async move {
            let after = match after {
                Some(token) => token.parse().map_err(|_| {
                    StoreError::refused("after", "it must be the 'next' of the page before".to_owned())
                })?,
                None => 0,
            };
            self.unread(user, after, limit).await
        })
    }

    fn conversations<'a>(&'a self, user: &'a UserName, limit: usize) -> Answer<'a, Vec<ConversationSummary>> {
        let user = user.clone();
        Box::pin(self.readers.read(move |connection| query::conversations(connection, &user, limit)))
    }

    fn move_cursors(&self, moves: Vec<CursorMove>) -> Answer<'_, ()> {
        Box::pin(self.ask(|reply| Command::MoveCursors(moves, reply)))
    }

    fn cursors<'a>(&'a self, conversation: &'a ConversationId) -> Answer<'a, Vec<CursorMove>> {
        let conversation = conversation.clone();
        Box::pin(self.readers.read(move |connection| export::cursors(connection, &conversation)))
    }
}

impl UserRegistry for SqliteStore {
    fn register(&self, user: RegisterUser) -> Answer<'_, ()> {
        Box::pin(self.ask(|reply| Command::Register(user, reply)))
    }

    fn users(&self, after: u64, limit: usize) -> Answer<'_, Users> {
        Box::pin(self.readers.read(move |connection| query::users(connection, after, limit)))
    }

    fn known(&self, names: Vec<UserName>) -> Answer<'_, Vec<UserName>> {
        Box::pin(self.readers.read(move |connection| query::known(connection, names)))
    }

    fn lookalike<'a>(&'a self, name: &'a UserName) -> Answer<'a, Option<UserName>> {
        let name = name.clone();
        Box::pin(self.readers.read(move |connection| query::lookalike(connection, &name)))
    }
}

impl ServiceState for SqliteStore {
    fn state<'a>(&'a self, owner: &'a UserName) -> Answer<'a, BTreeMap<String, Value>> {
        let owner = owner.clone();
        Box::pin(self.readers.read(move |connection| query::state(connection, &owner)))
    }

    fn put_state(&self, put: StatePut) -> Answer<'_, ()> {
        Box::pin(self.ask(|reply| Command::PutState(put, reply)))
    }

    fn all_state(&self, after: Option<(UserName, String)>, limit: usize) -> Answer<'_, Vec<StatePut>> {
        Box::pin(self.readers.read(move |connection| export::all_state(connection, after, limit)))
    }
}

impl Store for SqliteStore {
    fn append(&self, drafts: Vec<Draft>) -> Answer<'_, Vec<Appended>> {
        Box::pin(self.ask(|reply| Command::Append(drafts, None, reply)))
    }

    fn append_own(&self, drafts: Vec<Draft>, own: OwnBatch) -> Answer<'_, Vec<Appended>> {
        Box::pin(self.ask(move |reply| Command::Append(drafts, Some(own), reply)))
    }

    fn marks_own(&self) -> bool {
        true
    }

    fn restore(&self, backup: PathBuf) -> Answer<'_, Restored> {
        Box::pin(async move {
            let path = self.path.clone();
            let building = tokio::task::spawn_blocking(move || restore::build(&backup, &path));
            let built = building.await.map_err(|_| StoreError::unavailable("the restore ended badly"))??;
            let totals = built.totals;
            let kept = self.ask(|reply| Command::Restore(built, reply)).await?;
            self.plans.clear();
            Ok(Restored { totals, kept: Some(kept) })
        })
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(self.ask(Command::Probe))
    }

    fn verify(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async move {
            let path = self.path.clone();
            let verifying = tokio::task::spawn_blocking(move || {
                verify(&path).map_err(|error| store_error::store_error(&path, error))
            });
            verifying.await.map_err(|_| StoreError::unavailable("the check ended badly"))?
        })
    }

    fn was_not_closed(&self) -> bool {
        self.was_not_closed
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async {
            self.readers.close();
            // The writer ends when the last sender is dropped, after it has written what is queued.
            drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
            let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(thread) = thread {
                let joined = tokio::task::spawn_blocking(move || thread.join()).await;
                if !matches!(joined, Ok(Ok(()))) {
                    return Err(StoreError::unavailable("the writer ended badly"));
                }
            }
            Ok(())
        })
    }
}
