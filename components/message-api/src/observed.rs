//! The store as this process uses it: every result is counted, and reported to [`Health`].
//!
//! An append runs in a task of its own: if its caller disconnects, the write continues and its result is still reported.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use protocol::Draft;
use protocol::api::{Appended, OwnBatch, Restored};
use protocol::native::Durability;

use crate::health::Health;
use crate::metrics::Metrics;
use crate::store::{Answer, Instrumented, Store, StoreError};

/// A store whose results are recorded.
#[derive(Clone)]
pub(crate) struct ObservedStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
}

impl ObservedStore {
    async fn append_and_record(
        self,
        drafts: Vec<Draft>,
        own: Option<OwnBatch>,
    ) -> Result<Vec<Appended>, StoreError> {
        let begun = Instant::now();
        let result = match own {
            Some(own) => self.store.append_own(drafts, own).await,
            None => self.store.append(drafts).await,
        };
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

    fn append_in_task(&self, drafts: Vec<Draft>, own: Option<OwnBatch>) -> Answer<'_, Vec<Appended>> {
        Box::pin(async move {
            let appending = tokio::spawn(self.clone().append_and_record(drafts, own));
            appending.await.unwrap_or_else(|_| Err(StoreError::unavailable("the store ended badly")))
        })
    }

    fn count(&self, error: &StoreError) {
        match error {
            StoreError::Refused { .. } | StoreError::Full { .. } | StoreError::Limited { .. } => {}
            StoreError::Unavailable { .. } | StoreError::Damaged { .. } => self.metrics.failed.add(1),
        }
    }
}

impl Instrumented for ObservedStore {
    fn store(&self) -> &dyn Store {
        &*self.store
    }

    fn recorded<'a, T: Send + 'a>(&'a self, answer: Answer<'a, T>) -> Answer<'a, T> {
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

impl Store for ObservedStore {
    fn append(&self, drafts: Vec<Draft>) -> Answer<'_, Vec<Appended>> {
        self.append_in_task(drafts, None)
    }

    fn append_own(&self, drafts: Vec<Draft>, own: OwnBatch) -> Answer<'_, Vec<Appended>> {
        self.append_in_task(drafts, Some(own))
    }

    fn marks_own(&self) -> bool {
        self.store.marks_own()
    }

    fn restore(&self, backup: PathBuf) -> Answer<'_, Restored> {
        self.recorded(self.store.restore(backup))
    }

    fn probe(&self) -> Answer<'_, ()> {
        self.store.probe()
    }

    fn verify(&self) -> Answer<'_, Vec<String>> {
        self.store.verify()
    }

    fn was_not_closed(&self) -> bool {
        self.store.was_not_closed()
    }

    fn durability(&self) -> Durability {
        self.store.durability()
    }

    fn close(&self) -> Answer<'_, ()> {
        self.store.close()
    }
}
