//! The store as everybody in this process uses it: what comes of each question is counted, and noted in [`Health`].
//!
//! An append is a task of its own: a caller that goes away while it waits takes nothing with it, neither what is being written nor
//! what it tells of the store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use protocol::Draft;
use protocol::api::{Appended, Restored};
use protocol::native::Durability;

use crate::health::Health;
use crate::metrics::Metrics;
use crate::store::{Answer, Heard, Store, StoreError};

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
}

impl Heard for Observed {
    fn store(&self) -> &dyn Store {
        &*self.store
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
