//! The reads and writes of the store, in causally consistent sessions: no read returns a state older than what this process already knows.
//!
//! A majority's state is durable, but not necessarily fresh. A newly elected primary may not know yet that a majority has what its
//! predecessor had confirmed; then it omits that from its answers, and a reader that relied on finding it would miss it. So each read has
//! the latest known time of the servers' log, and a server answers once a majority has everything up to there (MongoDB's causal
//! consistency: `afterClusterTime`). Known are the times of what the change stream published, of what a writer had confirmed, and of what
//! was read; and from the beginning that of each process's first write, which follows whatever any process had confirmed before.
//!
//! A standalone server has no such times.

use std::time::Duration;

use bson::Document;
use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::action::Action;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::FindOptions;
use mongodb::results::UpdateResult;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::{self, CallError};
use super::collections::Collections;

/// Time limit for a server to answer. As for writes: after this a majority is unavailable.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Documents per batch of a server's answer, which is at most 16 MiB anyway. The server's default is 101 for the first batch.
const ANSWER: u32 = 16 * 1024;

impl Collections {
    /// All results of a query, which bounds their number.
    pub(super) async fn find<T: DeserializeOwned + Send + Sync + Unpin + 'static>(
        &self,
        from: &Collection<T>,
        filter: Document,
        options: impl Into<Option<FindOptions>>,
    ) -> Result<Vec<T>, CallError> {
        let (from, clock, mut options) =
            (from.clone(), self.clock.clone(), options.into().unwrap_or_default());
        options.max_time = Some(TIMEOUT);
        options.batch_size = Some(ANSWER);
        call::call(async move {
            let mut session = clock.session(from.client()).await?;
            let mut found = from.find(filter).with_options(options).session(&mut session).await?;
            let all = found.stream(&mut session).try_collect().await?;
            clock.learn(&session);
            Ok(all)
        })
        .await
    }

    /// All results of a pipeline, which bounds their number.
    pub(super) async fn aggregate<T: Send + Sync + 'static>(
        &self,
        from: &Collection<T>,
        pipeline: Vec<Document>,
    ) -> Result<Vec<Document>, CallError> {
        let (from, clock) = (from.clone(), self.clock.clone());
        call::call(async move {
            let mut session = clock.session(from.client()).await?;
            let asking = from.aggregate(pipeline).max_time(TIMEOUT).batch_size(ANSWER);
            let mut found = asking.session(&mut session).await?;
            let all = found.stream(&mut session).try_collect().await?;
            clock.learn(&session);
            Ok(all)
        })
        .await
    }

    /// The number of documents, counted up to `most`.
    pub(super) async fn count<T: Send + Sync + 'static>(
        &self,
        of: &Collection<T>,
        filter: Document,
        most: Option<u64>,
    ) -> Result<u64, CallError> {
        let (of, clock) = (of.clone(), self.clock.clone());
        call::call(async move {
            let mut session = clock.session(of.client()).await?;
            let counting = of.count_documents(filter).max_time(TIMEOUT).session(&mut session);
            let count = counting.optional(most, |counting, most| counting.limit(most)).await?;
            clock.learn(&session);
            Ok(count)
        })
        .await
    }

    /// Inserts documents, in order or independently.
    pub(super) async fn insert<T: Serialize + Send + Sync + 'static>(
        &self,
        into: &Collection<T>,
        documents: Vec<T>,
        ordered: bool,
    ) -> Result<(), CallError> {
        let (into, clock) = (into.clone(), self.clock.clone());
        call::call(async move {
            let mut session = clock.session(into.client()).await?;
            let inserted = into.insert_many(documents).ordered(ordered).session(&mut session).await;
            if inserted.as_ref().err().is_none_or(confirms_the_rest) {
                clock.learn(&session);
            }
            inserted.map(drop)
        })
        .await
    }

    /// Updates one document; `upsert` creates it if it does not exist.
    pub(super) async fn update<T: Send + Sync + 'static>(
        &self,
        of: &Collection<T>,
        filter: Document,
        update: Document,
        upsert: bool,
    ) -> Result<UpdateResult, CallError> {
        let (of, clock) = (of.clone(), self.clock.clone());
        call::call(async move {
            let mut session = clock.session(of.client()).await?;
            let updated = of.update_one(filter, update).upsert(upsert).session(&mut session).await?;
            clock.learn(&session);
            Ok(updated)
        })
        .await
    }

    pub(super) async fn delete<T: Send + Sync + 'static>(
        &self,
        from: &Collection<T>,
        filter: Document,
    ) -> Result<(), CallError> {
        let (from, clock) = (from.clone(), self.clock.clone());
        call::call(async move {
            let mut session = clock.session(from.client()).await?;
            from.delete_one(filter).session(&mut session).await?;
            clock.learn(&session);
            Ok(())
        })
        .await
    }
}

/// Some documents were rejected, and a majority has the others.
fn confirms_the_rest(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::InsertMany(failure) if failure.write_concern_error.is_none())
}
