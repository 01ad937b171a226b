//! Reads and writes, in causally consistent sessions: no read returns a state older than what this process already knows.
//!
//! A majority's state is durable, but not necessarily fresh. A newly elected primary may not know yet that a majority has what its
//! predecessor had confirmed; then it omits that from its answers, and a reader that relied on finding it would miss it. So each read has
//! the latest known time of the servers' log ([`Clock`]), and a server answers once a majority has everything up to there (MongoDB's causal
//! consistency: `afterClusterTime`). Known are the times of what the change stream published, of what a writer had confirmed, and of what
//! was read; and from the beginning that of each process's first write, which follows whatever any process had confirmed before.
//!
//! A standalone server has no such times.

use std::time::Duration;

use bson::{Document, RawDocumentBuf, doc};
use futures_util::TryStreamExt;
use mongodb::IndexModel;
use mongodb::action::Action;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{IndexOptions, ReturnDocument};

use crate::call::{self, Answer, CallError, MAJORITY_TIMEOUT};
use crate::clock::Clock;
use crate::find::{FindOptions, Scan};

/// Time limit for a server to answer. As for writes: after this a majority is unavailable.
const TIMEOUT: Duration = MAJORITY_TIMEOUT;
/// Documents per batch of a server's answer, which is at most 16 MiB anyway. The server's default is 101 for the first batch.
const ANSWER: u32 = 16 * 1024;

/// A collection of a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Collection {
    documents: mongodb::Collection<RawDocumentBuf>,
    clock: Clock,
}

/// The result of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Updated {
    /// The number of documents that the filter matched.
    pub matched_count: u64,
    /// Whether a document was created.
    pub is_new: bool,
}

impl Collection {
    pub(crate) fn new(documents: mongodb::Collection<RawDocumentBuf>, clock: Clock) -> Self {
        Self { documents, clock }
    }

    pub(crate) fn documents(&self) -> &mongodb::Collection<RawDocumentBuf> {
        &self.documents
    }

    /// All results of a query, which bounds their number.
    #[must_use]
    pub fn find(&self, filter: Document, options: FindOptions) -> Answer<'static, Vec<RawDocumentBuf>> {
        let (from, clock, mut options) = (self.documents.clone(), self.clock.clone(), options.for_driver());
        options.max_time = Some(TIMEOUT);
        options.batch_size = Some(ANSWER);
        call::call(async move {
            let mut session = clock.session(from.client()).await?;
            let mut found = from.find(filter).with_options(options).session(&mut session).await?;
            let all = found.stream(&mut session).try_collect().await?;
            clock.learn(&session);
            Ok(all)
        })
    }

    /// All results of a query, one by one, without a session; `batch` of them are read at once.
    #[must_use]
    pub fn scan(&self, filter: Document, options: FindOptions, batch: u32) -> Answer<'static, Scan> {
        let (from, mut options) = (self.documents.clone(), options.for_driver());
        options.batch_size = Some(batch);
        Box::pin(
            async move { from.find(filter).with_options(options).await.map(Scan).map_err(CallError::from) },
        )
    }

    /// All results of a pipeline, which bounds their number.
    #[must_use]
    pub fn aggregate(&self, pipeline: Vec<Document>) -> Answer<'static, Vec<Document>> {
        let (from, clock) = (self.documents.clone(), self.clock.clone());
        call::call(async move {
            let mut session = clock.session(from.client()).await?;
            let asking = from.aggregate(pipeline).max_time(TIMEOUT).batch_size(ANSWER);
            let mut found = asking.session(&mut session).await?;
            let all = found.stream(&mut session).try_collect().await?;
            clock.learn(&session);
            Ok(all)
        })
    }

    /// The number of documents, counted up to `most`.
    #[must_use]
    pub fn count(&self, filter: Document, most: Option<u64>) -> Answer<'static, u64> {
        let (of, clock) = (self.documents.clone(), self.clock.clone());
        call::call(async move {
            let mut session = clock.session(of.client()).await?;
            let counting = of.count_documents(filter).max_time(TIMEOUT).session(&mut session);
            let count = counting.optional(most, |counting, most| counting.limit(most)).await?;
            clock.learn(&session);
            Ok(count)
        })
    }

    /// The number of documents as the server has recorded it, which may be wrong after a crash of its.
    #[must_use]
    pub fn estimated_count(&self) -> Answer<'static, u64> {
        let of = self.documents.clone();
        call::call(async move { of.estimated_document_count().await })
    }

    /// Inserts documents, in order or independently.
    #[must_use]
    pub fn insert(&self, documents: Vec<RawDocumentBuf>, ordered: bool) -> Answer<'static, ()> {
        let (into, clock) = (self.documents.clone(), self.clock.clone());
        call::call(async move {
            let mut session = clock.session(into.client()).await?;
            let inserted = into.insert_many(documents).ordered(ordered).session(&mut session).await;
            if inserted.as_ref().err().is_none_or(confirms_the_rest) {
                clock.learn(&session);
            }
            inserted.map(drop)
        })
    }

    /// Updates one document; `upsert` creates it if it does not exist.
    #[must_use]
    pub fn update(&self, filter: Document, update: Document, upsert: bool) -> Answer<'static, Updated> {
        let (of, clock) = (self.documents.clone(), self.clock.clone());
        call::call(async move {
            let mut session = clock.session(of.client()).await?;
            let updated = of.update_one(filter, update).upsert(upsert).session(&mut session).await?;
            clock.learn(&session);
            let is_new = updated.upserted_id.is_some();
            Ok(Updated { matched_count: updated.matched_count, is_new })
        })
    }

    /// Updates one document or creates it, and returns what it is then.
    #[must_use]
    pub fn update_and_get(&self, filter: Document, update: Document) -> Answer<'static, Option<Document>> {
        let of = self.documents.clone_with_type::<Document>();
        call::call(async move {
            let updating = of.find_one_and_update(filter, update).upsert(true);
            updating.return_document(ReturnDocument::After).await
        })
    }

    /// Makes these updates with one command, in order or independently, and returns the server's answer: it has an error for each update
    /// that was rejected. The `update` command itself, because the driver's `bulk_write` requires version 8 of the server.
    #[must_use]
    pub fn update_many(&self, updates: Vec<Document>, ordered: bool) -> Answer<'static, Document> {
        let timeout = i64::try_from(MAJORITY_TIMEOUT.as_millis()).expect("a few seconds");
        // A command has no write concern by default.
        let command = doc! {
            "update": self.documents.name(),
            "updates": updates,
            "ordered": ordered,
            "writeConcern": { "w": "majority", "j": true, "wtimeout": timeout },
        };
        let (client, database) = (self.documents.client().clone(), self.documents.namespace().db);
        let clock = self.clock.clone();
        call::call(async move {
            let mut session = clock.session(&client).await?;
            let answer = client.database(&database).run_command(command).session(&mut session).await?;
            if !answer.contains_key("writeConcernError") {
                clock.learn(&session);
            }
            Ok(answer)
        })
    }

    /// Deletes one document.
    #[must_use]
    pub fn delete(&self, filter: Document) -> Answer<'static, ()> {
        let (from, clock) = (self.documents.clone(), self.clock.clone());
        call::call(async move {
            let mut session = clock.session(from.client()).await?;
            from.delete_one(filter).session(&mut session).await?;
            clock.learn(&session);
            Ok(())
        })
    }

    /// Deletes all documents that match, and returns their number.
    #[must_use]
    pub fn delete_all(&self, filter: Document) -> Answer<'static, u64> {
        let from = self.documents.clone();
        call::call(async move { from.delete_many(filter).await.map(|deleted| deleted.deleted_count) })
    }

    /// Creates an index unless it exists, within the time limit of a call.
    #[must_use]
    pub fn create_index(&self, name: &str, keys: Document, unique: bool) -> Answer<'static, ()> {
        let (of, index) = (self.documents.clone(), index(name, keys, Some(unique)));
        call::call(async move { of.create_index(index).await.map(drop) })
    }

    /// Creates an index unless it exists, however long it takes.
    #[must_use]
    pub fn create_large_index(&self, name: &str, keys: Document) -> Answer<'static, ()> {
        let (of, index) = (self.documents.clone(), index(name, keys, None));
        call::call_unbounded(async move { of.create_index(index).await.map(drop) })
    }

    /// Drops an index.
    #[must_use]
    pub fn drop_index(&self, name: &'static str) -> Answer<'static, ()> {
        let of = self.documents.clone();
        call::call(async move { of.drop_index(name).await })
    }
}

fn index(name: &str, keys: Document, unique: Option<bool>) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).unique(unique).build();
    IndexModel::builder().keys(keys).options(options).build()
}

/// Some documents were rejected, and a majority has the others.
fn confirms_the_rest(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::InsertMany(failure) if failure.write_concern_error.is_none())
}
