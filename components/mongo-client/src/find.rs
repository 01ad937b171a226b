//! What a query returns, and in which order.

use bson::{Document, RawDocumentBuf};
use mongodb::Cursor;
use mongodb::options::FindOptions as DriverOptions;

use crate::call::{Answer, CallError};

/// What a query returns; by default all fields of all documents, in any order.
#[derive(Debug, Clone, Default)]
pub struct FindOptions {
    pub(crate) sort: Option<Document>,
    pub(crate) limit: Option<i64>,
    pub(crate) projection: Option<Document>,
}

impl FindOptions {
    /// The default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// In this order.
    #[must_use]
    pub fn sort(self, sort: Document) -> Self {
        Self { sort: Some(sort), ..self }
    }

    /// At most this many documents.
    #[must_use]
    pub fn limit(self, limit: i64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// These fields only.
    #[must_use]
    pub fn projection(self, fields: Document) -> Self {
        Self { projection: Some(fields), ..self }
    }

    pub(crate) fn for_driver(self) -> DriverOptions {
        let mut options = DriverOptions::default();
        options.sort = self.sort;
        options.limit = self.limit;
        options.projection = self.projection;
        options
    }
}

/// The results of a query of any length, one by one.
#[derive(Debug)]
pub struct Scan(pub(crate) Cursor<RawDocumentBuf>);

impl Scan {
    /// The next document.
    pub fn next_document(&mut self) -> Answer<'_, Option<RawDocumentBuf>> {
        Box::pin(async move {
            let more = self.0.advance().await.map_err(CallError::from)?;
            Ok(more.then(|| self.0.current().to_owned()))
        })
    }
}
