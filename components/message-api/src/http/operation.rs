//! An operation in the OpenAPI document.

use kit::http::openapi::{SchemaOf, schema};
use protocol::api::Call;

/// One method of a path.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<SchemaOf>,
    pub(super) answer: Option<(&'static str, SchemaOf)>,
}

impl Operation {
    pub(super) fn new(method: &'static str, summary: &'static str, description: impl Into<String>) -> Self {
        Self { method, summary, description: description.into(), query: Vec::new(), body: None, answer: None }
    }

    /// The body and answer of a [`Call`].
    pub(super) fn call<C: Call>(summary: &'static str, description: impl Into<String>) -> Self {
        Self::new("post", summary, description).body(schema::<C>).answer(schema::<C::Answer>)
    }

    pub(super) fn query(mut self, name: &'static str, description: impl Into<String>) -> Self {
        self.query.push((name, description.into()));
        self
    }

    pub(super) fn body(mut self, schema: SchemaOf) -> Self {
        self.body = Some(schema);
        self
    }

    pub(super) fn answer(mut self, schema: SchemaOf) -> Self {
        self.answer = Some(("application/json", schema));
        self
    }

    /// An answer of JSON lines of this type.
    pub(super) fn lines(mut self, schema: SchemaOf) -> Self {
        self.answer = Some(("application/x-ndjson", schema));
        self
    }
}
