//! Every read and write of the store, in sessions that know of each other: what is read is never older than what this process was
//! told of before.
//!
//! A majority's state is durable, not fresh. A primary that was just elected may not have learnt yet that what the one before it had
//! confirmed is with a majority; then it leaves that out of what it answers, and whoever relied on finding it would never be told of
//! it. So each read carries the latest time of the servers' log that is known here, and a server answers once a majority has
//! everything up to there (MongoDB's causal consistency: `afterClusterTime`). Known are the times of what the change stream showed,
//! of what was confirmed to a writer, and of what was read; and from the beginning, that of the write which every process begins
//! with: whatever any process had confirmed before lies before that.
//!
//! A standalone server tells no times, and is asked for none.

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

/// How long a server tries to answer. As for writes: a majority that takes longer is not there.
const PATIENCE: Duration = Duration::from_secs(5);
/// Documents in one answer of a server, which is at most 16 MiB in any case. Left to itself a server begins with 101.
const ANSWER: u32 = 16 * 1024;

impl Collections {
    /// All that a query finds; the query bounds it.
    pub(super) async fn find<T: DeserializeOwned + Send + Sync + Unpin + 'static>(
        &self,
        from: &Collection<T>,
        filter: Document,
        options: impl Into<Option<FindOptions>>,
    ) -> Result<Vec<T>, CallError> {
        let (from, clock, mut options) =
            (from.clone(), self.clock.clone(), options.into().unwrap_or_default());
        options.max_time = Some(PATIENCE);
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

    /// All that a pipeline yields; the pipeline bounds it.
    pub(super) async fn aggregate<T: Send + Sync + 'static>(
        &self,
        from: &Collection<T>,
        pipeline: Vec<Document>,
    ) -> Result<Vec<Document>, CallError> {
        let (from, clock) = (from.clone(), self.clock.clone());
        call::call(async move {
            let mut session = clock.session(from.client()).await?;
            let asking = from.aggregate(pipeline).max_time(PATIENCE).batch_size(ANSWER);
            let mut found = asking.session(&mut session).await?;
            let all = found.stream(&mut session).try_collect().await?;
            clock.learn(&session);
            Ok(all)
        })
        .await
    }

    /// How many documents there are, counted up to `most`.
    pub(super) async fn count<T: Send + Sync + 'static>(
        &self,
        of: &Collection<T>,
        filter: Document,
        most: Option<u64>,
    ) -> Result<u64, CallError> {
        let (of, clock) = (of.clone(), self.clock.clone());
        call::call(async move {
            let mut session = clock.session(of.client()).await?;
            let counting = of.count_documents(filter).max_time(PATIENCE).session(&mut session);
            let count = counting.optional(most, |counting, most| counting.limit(most)).await?;
            clock.learn(&session);
            Ok(count)
        })
        .await
    }

    /// Inserts documents, in order or each by itself.
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

    /// Updates one document; `upsert` makes it where there is none.
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

    /// Deletes one document.
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

/// Some documents were refused, and a majority has the others.
fn confirms_the_rest(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::InsertMany(failure) if failure.write_concern_error.is_none())
}
