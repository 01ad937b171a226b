//! The reads and writes of the store: the client's, with our types of documents.
//!
//! How reads keep up with what this process knows is explained in [`mongo_client::Collection`].

use bson::{Document, RawDocumentBuf};
use mongo_client::{CallError, Clock, FindOptions, Updated};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::collections::{Collection, Collections};
use crate::store::StoreError;

impl Collections {
    /// All results of a query, which bounds their number.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        from: &Collection<T>,
        filter: Document,
        options: impl Into<Option<FindOptions>>,
    ) -> Result<Vec<T>, CallError> {
        let found = from.documents().find(filter, options.into().unwrap_or_default()).await?;
        let read = |document: &RawDocumentBuf| bson::deserialize_from_slice(document.as_bytes());
        Ok(found.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// All results of a pipeline, which bounds their number.
    pub(super) async fn aggregate<T>(
        &self,
        from: &Collection<T>,
        pipeline: Vec<Document>,
    ) -> Result<Vec<Document>, CallError> {
        from.documents().aggregate(pipeline).await
    }

    /// The number of documents, counted up to `most`.
    pub(super) async fn count<T>(
        &self,
        of: &Collection<T>,
        filter: Document,
        most: Option<u64>,
    ) -> Result<u64, CallError> {
        of.documents().count(filter, most).await
    }

    /// Inserts documents, in order or independently.
    pub(super) async fn insert<T: Serialize>(
        &self,
        into: &Collection<T>,
        documents: Vec<T>,
        ordered: bool,
    ) -> Result<(), CallError> {
        let documents = documents.iter().map(bson::serialize_to_raw_document_buf);
        into.documents().insert(documents.collect::<Result<_, _>>()?, ordered).await
    }

    /// Updates one document; `upsert` creates it if it does not exist.
    pub(super) async fn update<T>(
        &self,
        of: &Collection<T>,
        filter: Document,
        update: Document,
        upsert: bool,
    ) -> Result<Updated, CallError> {
        of.documents().update(filter, update, upsert).await
    }

    pub(super) async fn delete<T>(&self, from: &Collection<T>, filter: Document) -> Result<(), CallError> {
        from.documents().delete(filter).await
    }

    /// The latest known time of the servers' log.
    pub(super) fn clock(&self) -> &Clock {
        self.database.clock()
    }
}

impl From<CallError> for StoreError {
    fn from(error: CallError) -> Self {
        Self::because("MongoDB cannot do this now", error)
    }
}
