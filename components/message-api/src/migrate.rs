//! Takes everything from a SQLite file to a MongoDB database, while people write into the file.
//!
//! Each pass copies, conversation by conversation, what the database does not have yet, from the end of its log on: so a migration
//! that was cut off goes on where it was, and the last pass finds nothing. Then every conversation's log is read from both and their
//! hashes compared.
//!
//! What is said after that is not in the database. The way to lose nothing: migrate; `launcher stop message-api`, from when on
//! senders are asked to send again; migrate what is new, which takes moments; name the database in `store.url`; start.

use std::path::Path;

use protocol::limits::PAGE_USERS;
use protocol::native::Durability;
use protocol::{ConversationId, Event};

use crate::archive::LogHash;
use crate::store::mongo::{Importer, MongoStore};
use crate::store::open::{Location, locate};
use crate::store::sqlite::{self, SqliteStore};
use crate::store::{
    Cursors, Log, OpenError, People, Range, ServiceState, Store, StoreError, Unheard, silent,
};

/// Events that are copied, or compared, at once.
const PAGE: usize = 500;
/// When people write faster than we copy, somebody must stop them.
const PASSES: u32 = 20;

/// A migration did not come to its end. Started again it goes on.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Only this way is built.
    #[error("a migration goes from 'sqlite:FILE' to 'mongodb://HOST'")]
    Way,
    /// There is no such file.
    #[error("no such file: '{0}'")]
    NoFile(String),
    /// One of the two cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// One of the two cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database holds something else.
    #[error("{0} is not the same in both: was something written into the database?")]
    Apart(ConversationId),
    /// There is no end of new messages.
    #[error("people write faster than is copied; stop message-api and migrate again")]
    NoEnd,
}

/// What a migration did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Migrated {
    /// Events that were not there before.
    pub copied: u64,
    /// Conversations whose hashes are the same.
    pub conversations: u64,
    /// Events in them.
    pub events: u64,
}

/// Migrates; `tell` hears what is going on.
///
/// # Errors
/// See [`MigrateError`].
pub async fn migrate(
    from: &str,
    to: &str,
    data: &Path,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Result<Migrated, MigrateError> {
    let (Location::Sqlite(file), Location::Mongo(url)) = (locate(from, data)?, locate(to, data)?) else {
        return Err(MigrateError::Way);
    };
    if !file.exists() {
        return Err(MigrateError::NoFile(file.display().to_string()));
    }
    // Nothing is written there.
    let durability = Durability::Relaxed;
    let opening = tokio::task::spawn_blocking(move || {
        sqlite::inspect(&file)?;
        SqliteStore::open(&file, durability, std::sync::Arc::new(Unheard), &silent())
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
        Err(MigrateError::NoEnd)
    }

    /// Copies what is new, and answers how many events that were.
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

    /// Cursors are read first and moved last, so that none is cut at the end of a log that has grown meanwhile.
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

    /// The last place in the database's log, which must hold what the file has there, unless the file let that go.
    async fn end(&self, conversation: &ConversationId) -> Result<u64, MigrateError> {
        let last = self.new.events(conversation, Range::Before(u64::MAX), 1).await?.events;
        let Some(last) = last.first() else { return Ok(0) };
        let same = self.old.events(conversation, Range::After(last.seq - 1), 1).await?.events;
        if same.first() == Some(last) {
            return Ok(last.seq);
        }
        let oldest = self.old.events(conversation, Range::After(0), 1).await?.events;
        let is_deleted = oldest.first().is_none_or(|oldest| oldest.seq > last.seq);
        if is_deleted { Ok(last.seq) } else { Err(MigrateError::Apart(conversation.clone())) }
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

    /// From the file's first event on, for older ones may have been deleted there; to the database's last, for there may be newer.
    async fn compare_log(&self, conversation: &ConversationId) -> Result<u64, MigrateError> {
        let first = self.old.events(conversation, Range::After(0), 1).await?.events;
        let Some(first) = first.first() else { return Ok(0) };
        let end = self.end(conversation).await?;
        let new = hash(&self.new, conversation, first.seq - 1, end).await?;
        if new == hash(&self.old, conversation, first.seq - 1, end).await? {
            Ok(new.0)
        } else {
            Err(MigrateError::Apart(conversation.clone()))
        }
    }
}

/// How many events lie behind `after` up to `end`, and their hash.
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
