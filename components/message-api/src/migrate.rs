//! Copies everything from a SQLite file to a MongoDB database, while the file is in use.
//!
//! Each pass copies, per conversation, what the database does not have yet, from the end of its log on: an interrupted migration continues
//! where it stopped, and the last pass finds nothing. Then both logs of every conversation are read and their hashes compared.
//!
//! Messages stored after that are not in the database. To lose nothing: migrate; `launcher stop message-api`, after which senders are asked
//! to send again; migrate the rest, which takes moments; set `store.url` to the database; start.

use std::path::Path;
use std::pin::Pin;

use protocol::limits::PAGE_USERS;
use protocol::native::Durability;
use protocol::{ConversationId, Event};

use crate::archive::LogHash;
use crate::store::mongo::{Importer, MongoStore};
use crate::store::open::{Location, locate};
use crate::store::sqlite::{self, SqliteStore};
use crate::store::{
    Cursors, Log, NoSubscriber, OpenError, Range, ServiceState, Store, StoreError, UserRegistry, no_progress,
};

/// Events copied or compared at once.
const PAGE: usize = 500;
/// After this many passes new messages arrive faster than they are copied, and the writers must be stopped.
const PASSES: u32 = 20;

/// A migration failed. Started again it continues.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Only SQLite to MongoDB is supported.
    #[error("a migration goes from 'sqlite:FILE' to 'mongodb://HOST'")]
    Direction,
    /// The file does not exist.
    #[error("no such file: '{0}'")]
    NoFile(String),
    /// A store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database has other messages than the file.
    #[error("{0} is not the same in both: was something written into the database?")]
    Diverged(ConversationId),
    /// New messages arrive faster than they are copied.
    #[error("people write faster than is copied; stop message-api and migrate again")]
    TooFast,
}

/// The result of a migration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Migrated {
    /// Events that were copied.
    pub copied: u64,
    /// Conversations whose hashes match.
    pub conversations: u64,
    /// Events in these conversations.
    pub events: u64,
}

/// Migrates; `tell` is called with progress messages.
///
/// # Errors
/// See [`MigrateError`].
#[must_use]
pub fn migrate<'a>(
    from: &'a str,
    to: &'a str,
    data: &'a Path,
    tell: &'a mut (dyn FnMut(&str) + Send),
) -> Pin<Box<dyn Future<Output = Result<Migrated, MigrateError>> + Send + 'a>> {
    // Boxed here, so that it is compiled with this crate: see `kit::Running`.
    Box::pin(copy_all(from, to, data, tell))
}

async fn copy_all(
    from: &str,
    to: &str,
    data: &Path,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Result<Migrated, MigrateError> {
    let (Location::Sqlite(file), Location::Mongo(url)) = (locate(from, data)?, locate(to, data)?) else {
        return Err(MigrateError::Direction);
    };
    if !file.exists() {
        return Err(MigrateError::NoFile(file.display().to_string()));
    }
    // The file is not written to.
    let durability = Durability::Relaxed;
    let opening = tokio::task::spawn_blocking(move || {
        sqlite::inspect(&file)?;
        SqliteStore::open(&file, durability, std::sync::Arc::new(NoSubscriber), &no_progress())
    });
    let old = opening.await.expect("opening a file does not panic and is not cancelled");
    let old = old.map_err(OpenError::from)?;
    let new = MongoStore::open_without_feed(&url).await.map_err(OpenError::from)?;
    let migration = Migration { importer: new.importer(), old, new };
    let result = migration.run(tell).await;
    migration.old.close().await?;
    migration.new.close().await?;
    result
}

struct Migration {
    old: SqliteStore,
    new: MongoStore,
    importer: Importer,
}

impl Migration {
    async fn run(&self, tell: &mut (dyn FnMut(&str) + Send)) -> Result<Migrated, MigrateError> {
        let mut copied = 0;
        for pass in 1..=PASSES {
            let new = self.pass().await?;
            copied += new;
            tell(&format!("pass {pass}: {new} messages copied"));
            if new == 0 {
                tell("comparing every conversation");
                let compared = self.compare().await?;
                return Ok(Migrated { copied, ..compared });
            }
        }
        Err(MigrateError::TooFast)
    }

    /// Copies new events, and returns their number.
    async fn pass(&self) -> Result<u64, MigrateError> {
        let mut after = 0;
        loop {
            let page = self.old.users(after, PAGE_USERS).await?;
            for user in &page.users {
                self.importer.user(user).await?;
            }
            if !page.more {
                break;
            }
            after = page.last;
        }
        self.states().await?;
        let (mut copied, mut after) = (0, None);
        loop {
            let page = self.old.all_conversations(after.as_ref(), PAGE).await?;
            for conversation in &page {
                copied += self.copy(conversation).await?;
            }
            match page.into_iter().next_back() {
                Some(last) => after = Some(last),
                None => return Ok(copied),
            }
        }
    }

    async fn states(&self) -> Result<(), MigrateError> {
        let mut after = None;
        loop {
            let page = self.old.all_state(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.owner.clone(), last.key.clone()));
            for put in page {
                self.importer.state(put).await?;
            }
        }
    }

    /// Cursors are read first and moved last, so that none is beyond the end of the copied log.
    async fn copy(&self, conversation: &ConversationId) -> Result<u64, MigrateError> {
        let cursors = self.old.cursors(conversation).await?;
        self.importer.conversation(conversation, self.old.floor(conversation).await?).await?;
        let (mut copied, mut end) = (0, self.end(conversation).await?);
        loop {
            let page = self.old.events(conversation, Range::After(end), PAGE).await?;
            self.importer.events(&page.events).await?;
            copied += page.events.len() as u64;
            end = page.events.last().map_or(end, |event| event.seq);
            if !page.more {
                break;
            }
        }
        self.importer.cursors(cursors).await?;
        Ok(copied)
    }

    /// The last `seq` of the database's log. The file must have the same event there, unless it has expired.
    async fn end(&self, conversation: &ConversationId) -> Result<u64, MigrateError> {
        let last = self.new.events(conversation, Range::Before(u64::MAX), 1).await?.events;
        let Some(last) = last.first() else { return Ok(0) };
        let same = self.old.events(conversation, Range::After(last.seq - 1), 1).await?.events;
        if same.first() == Some(last) {
            return Ok(last.seq);
        }
        let oldest = self.old.events(conversation, Range::After(0), 1).await?.events;
        let is_deleted = oldest.first().is_none_or(|oldest| oldest.seq > last.seq);
        if is_deleted { Ok(last.seq) } else { Err(MigrateError::Diverged(conversation.clone())) }
    }

    async fn compare(&self) -> Result<Migrated, MigrateError> {
        let (mut compared, mut after) = (Migrated::default(), None);
        loop {
            let page = self.old.all_conversations(after.as_ref(), PAGE).await?;
            for conversation in &page {
                compared.events += self.compare_log(conversation).await?;
                compared.conversations += 1;
            }
            match page.into_iter().next_back() {
                Some(last) => after = Some(last),
                None => return Ok(compared),
            }
        }
    }

    /// From the file's first event on, because older ones may have expired there, to the database's last, because there may be newer ones.
    async fn compare_log(&self, conversation: &ConversationId) -> Result<u64, MigrateError> {
        let first = self.old.events(conversation, Range::After(0), 1).await?.events;
        let Some(first) = first.first() else { return Ok(0) };
        let end = self.end(conversation).await?;
        let new = hash(&self.new, conversation, first.seq - 1, end).await?;
        if new == hash(&self.old, conversation, first.seq - 1, end).await? {
            Ok(new.0)
        } else {
            Err(MigrateError::Diverged(conversation.clone()))
        }
    }
}

/// The number of events after `after` up to `end`, and their hash.
async fn hash(
    store: &dyn Store,
    conversation: &ConversationId,
    mut after: u64,
    end: u64,
) -> Result<(u64, String), StoreError> {
    let mut hash = LogHash::default();
    while after < end {
        let page = store.events(conversation, Range::After(after), PAGE).await?.events;
        let Some(last) = page.last() else { break };
        after = last.seq;
        let within = |event: &&Event| event.seq <= end;
        page.iter().filter(within).for_each(|event| hash.add(event));
    }
    Ok(hash.finish())
}
