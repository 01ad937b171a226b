//! The store as everybody in this process uses it: what comes of each question is counted, and noted in [`Health`].
//!
//! An append is a task of its own: a caller that goes away while it waits takes nothing with it, neither what is being written nor
//! what it tells of the store.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use protocol::api::{Appended, CursorMove, EventPage, RegisterUser, Restored, Users};
use protocol::native::{ConversationSummary, Durability};
use protocol::{ConversationId, Draft, UserName};
use serde_json::Value;
use uuid::Uuid;

use crate::health::Health;
use crate::metrics::Metrics;
use crate::store::{Answer, Range, StatePut, Store, StoreError, Unseen};

/// A store that is listened to.
#[derive(Clone)]
pub(crate) struct Observed {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Observed {
    async fn append_and_note(self, drafts: Vec<Draft>) -> Result<Vec<Appended>, StoreError> {
        let begun = Instant::now();
        let result = self.store.append(drafts).await;
        self.metrics.appends.note(begun.elapsed());
        match &result {
            Ok(results) => {
                let duplicates = results.iter().filter(|result| result.duplicate).count();
                self.metrics.commits.note(begun.elapsed());
                self.metrics.appended.add(results.len() - duplicates);
                self.metrics.duplicates.add(duplicates);
                self.health.stored();
            }
            Err(error) => {
                self.health.not_stored(error);
                self.count(error);
            }
        }
        result
    }

    fn count(&self, error: &StoreError) {
        match error {
            StoreError::Refused { .. } | StoreError::Full { .. } | StoreError::Limited { .. } => {}
            StoreError::Unavailable { .. } | StoreError::Damaged { .. } => self.metrics.failed.add(1),
        }
    }

    fn noted<'a, T: Send + 'a>(&'a self, answer: Answer<'a, T>) -> Answer<'a, T> {
        Box::pin(async move {
            let result = answer.await;
            if let Err(error) = &result {
                self.count(error);
                if matches!(error, StoreError::Damaged { .. }) {
                    self.health.damaged(error);
                }
            }
            result
        })
    }
}

impl Store for Observed {
    fn append(&self, drafts: Vec<Draft>) -> Answer<'_, Vec<Appended>> {
        Box::pin(async move {
            let appending = tokio::spawn(self.clone().append_and_note(drafts));
            appending.await.unwrap_or_else(|_| Err(StoreError::unavailable("the store ended badly")))
        })
    }

    fn unseen<'a>(&'a self, user: &'a UserName, after: Option<&'a str>, limit: usize) -> Answer<'a, Unseen> {
        self.noted(self.store.unseen(user, after, limit))
    }

    fn conversations<'a>(&'a self, user: &'a UserName, limit: usize) -> Answer<'a, Vec<ConversationSummary>> {
        self.noted(self.store.conversations(user, limit))
    }

    fn events<'a>(
        &'a self,
        conversation: &'a ConversationId,
        range: Range,
        limit: usize,
    ) -> Answer<'a, EventPage> {
        self.noted(self.store.events(conversation, range, limit))
    }

    fn move_cursors(&self, moves: Vec<CursorMove>) -> Answer<'_, ()> {
        self.noted(self.store.move_cursors(moves))
    }

    fn register(&self, user: RegisterUser) -> Answer<'_, ()> {
        self.noted(self.store.register(user))
    }

    fn users(&self, after: u64, limit: usize) -> Answer<'_, Users> {
        self.noted(self.store.users(after, limit))
    }

    fn log(&self) -> Answer<'_, Uuid> {
        self.noted(self.store.log())
    }

    fn known(&self, names: Vec<UserName>) -> Answer<'_, Vec<UserName>> {
        self.noted(self.store.known(names))
    }

    fn lookalike<'a>(&'a self, name: &'a UserName) -> Answer<'a, Option<UserName>> {
        self.noted(self.store.lookalike(name))
    }

    fn state<'a>(&'a self, owner: &'a UserName) -> Answer<'a, BTreeMap<String, Value>> {
        self.noted(self.store.state(owner))
    }

    fn put_state(&self, put: StatePut) -> Answer<'_, ()> {
        self.noted(self.store.put_state(put))
    }

    fn all_conversations<'a>(
        &'a self,
        after: Option<&'a ConversationId>,
        limit: usize,
    ) -> Answer<'a, Vec<ConversationId>> {
        self.noted(self.store.all_conversations(after, limit))
    }

    fn cursors<'a>(&'a self, conversation: &'a ConversationId) -> Answer<'a, Vec<CursorMove>> {
        self.noted(self.store.cursors(conversation))
    }

    fn all_state(&self, after: Option<(UserName, String)>, limit: usize) -> Answer<'_, Vec<StatePut>> {
        self.noted(self.store.all_state(after, limit))
    }

    fn forget<'a>(&'a self, conversation: &'a ConversationId, up_to: u64) -> Answer<'a, u64> {
        self.noted(self.store.forget(conversation, up_to))
    }

    fn restore(&self, backup: PathBuf) -> Answer<'_, Restored> {
        self.noted(self.store.restore(backup))
    }

    fn probe(&self) -> Answer<'_, ()> {
        self.store.probe()
    }

    fn verify(&self) -> Answer<'_, Vec<String>> {
        self.store.verify()
    }

    fn was_left_open(&self) -> bool {
        self.store.was_left_open()
    }

    fn durability(&self) -> Durability {
        self.store.durability()
    }

    fn close(&self) -> Answer<'_, ()> {
        self.store.close()
    }
}
