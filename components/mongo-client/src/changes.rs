//! A change stream: what any process inserts, in the order of the server's log, once a majority has it.

use std::time::Duration;

use bson::{Document, Timestamp as ClusterTime};
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::{ChangeStreamEvent, ResumeToken};

use crate::call::{self, Answer, CallError};
use crate::collection::Collection;

/// How long the server delays the answer to an idle request.
const AWAIT: Duration = Duration::from_millis(100);

/// Where a stream can be resumed.
#[derive(Debug, Clone)]
pub struct Token(ResumeToken);

/// A change.
#[derive(Debug)]
pub struct Change {
    /// Its time in the servers' log.
    pub time: Option<ClusterTime>,
    /// The document.
    pub document: Option<Document>,
}

/// A change stream.
pub struct Changes(ChangeStream<ChangeStreamEvent<Document>>);

impl Changes {
    /// The next change; `None` if there is none yet.
    pub fn next_if_any(&mut self) -> Answer<'_, Option<Change>> {
        Box::pin(async move {
            let found = self.0.next_if_any().await.map_err(CallError::from)?;
            Ok(found.map(|event| Change { time: event.cluster_time, document: event.full_document }))
        })
    }

    /// Whether it goes on; it ends when the collection is dropped or renamed.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.is_alive()
    }

    /// Where it can be resumed.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        self.0.resume_token().map(Token)
    }
}

impl Collection {
    /// The changes that match a stage of a pipeline, from now on or from where another stream was.
    #[must_use]
    pub fn watch(&self, matching: Document, from: Option<Token>) -> Answer<'static, Changes> {
        let events = self.documents().clone_with_type::<Document>();
        call::call(async move {
            let watching = events.watch().pipeline([matching]).resume_after(from.map(|token| token.0));
            watching.max_await_time(AWAIT).await.map(Changes)
        })
    }
}
