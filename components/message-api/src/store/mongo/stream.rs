//! The change stream of this process, which reports what any process has stored.
//!
//! On a replica set everything on the feed comes from here, including this process's own events, so that nothing must be merged: the stream
//! has each insert once, in the order of the server's log, and only when a majority has it. A `seq` is written after the previous one was
//! confirmed, so that this is the order of `seq` in each conversation.
//!
//! The life of a stream: it is opened, then [`barrier`] ensures that whatever it does not show can be read from the store. When it breaks,
//! it is resumed at its token. If the server no longer knows the token, a new stream is opened and the feed begins a new epoch: its readers
//! read from the store what is between. What has been published is recorded in a [`Progress`](super::progress).

use std::sync::Arc;
use std::time::Duration;

use bson::{Document, doc};
use kit::backoff::Backoff;
use mongo_client::{CallError, Changes, Token};
use tokio_util::sync::CancellationToken;

use super::collections::Collections;
use super::document::{EventDocument, Placed, damaged};
use super::progress::Progress;
use crate::store::{Committed, StoreError};

/// Events that are published together.
const CHUNK: usize = 256;
/// The first pause between attempts to open a stream.
const RETRY_BASE: Duration = Duration::from_millis(50);
/// The longest pause between attempts.
const RETRY_CAP: Duration = Duration::from_secs(1);

/// The task and its state.
pub(super) struct Follower {
    collections: Collections,
    committed: Arc<dyn Committed>,
    changes: Changes,
    progress: Arc<Progress>,
    stop: CancellationToken,
}

/// Why a stream ended.
enum End {
    /// It can probably be resumed.
    Broken(CallError),
    /// Its next events are no longer available.
    Lost(CallError),
    /// The collection was dropped or renamed.
    Dropped,
}

impl Follower {
    /// Opens the stream; events stored from now on are published once the follower runs. `None` on a server without streams.
    pub(super) async fn open(
        collections: Collections,
        committed: Arc<dyn Committed>,
        progress: Arc<Progress>,
        stop: CancellationToken,
    ) -> Result<Option<Self>, CallError> {
        if !has_streams(&collections).await? {
            return Ok(None);
        }
        let changes = open_at_end(&collections).await?;
        Ok(Some(Self { collections, committed, changes, progress, stop }))
    }

    /// Publishes until it is stopped.
    pub(super) async fn run(mut self) {
        while let Err(end) = self.follow().await {
            let token = self.changes.token();
            match (end, token) {
                (End::Broken(error), Some(token)) => {
                    let error = kit::failure::chain(&error);
                    tracing::warn!(error, "the change stream broke; resuming it");
                    self.resume(token).await;
                }
                (End::Broken(error), None) | (End::Lost(error), _) => {
                    let error = kit::failure::chain(&error);
                    tracing::warn!(error, "lost the change stream");
                    self.start_again().await;
                }
                (End::Dropped, _) => {
                    tracing::warn!("the collection of events was dropped or renamed under the change stream");
                    self.start_again().await;
                }
            }
        }
    }

    /// Publishes events. Returns `Ok` when it is stopped.
    async fn follow(&mut self) -> Result<(), End> {
        while !self.stop.is_cancelled() {
            let mut chunk = Vec::new();
            let end = self.fill(&mut chunk).await;
            let (events, orders): (Vec<_>, Vec<_>) =
                chunk.into_iter().map(|placed| (placed.event, placed.order)).unzip();
            self.committed.publish(events.clone().into());
            self.progress.shown(&events, &orders);
            if !end? {
                self.progress.read_to_the_end();
            }
        }
        Ok(())
    }

    /// Takes available events. Returns whether there may be more.
    async fn fill(&mut self, chunk: &mut Vec<Placed>) -> Result<bool, End> {
        while chunk.len() < CHUNK {
            match self.changes.next_if_any().await {
                Ok(Some(change)) => {
                    if let Some(time) = change.time {
                        self.collections.clock().advance(time);
                        self.progress.will_reach(time);
                    }
                    chunk.extend(change.document.and_then(event));
                }
                Ok(None) if self.changes.is_alive() => return Ok(false),
                Ok(None) => return Err(End::Dropped),
                Err(error) if is_lost(&error) => return Err(End::Lost(error)),
                Err(error) => return Err(End::Broken(error)),
            }
        }
        Ok(true)
    }

    async fn resume(&mut self, token: Token) {
        let mut backoff = Backoff::new(RETRY_BASE, RETRY_CAP);
        while !self.stop.is_cancelled() {
            match open_stream(&self.collections, Some(token.clone())).await {
                Ok(changes) => {
                    self.changes = changes;
                    tracing::info!("resumed the change stream");
                    return;
                }
                Err(error) if is_lost(&error) => {
                    tracing::warn!("the server no longer has the events since the change stream stopped");
                    return self.start_again().await;
                }
                Err(error) => {
                    self.pause("the change stream cannot be resumed yet", &error, &mut backoff).await
                }
            }
        }
    }

    /// Opens a new stream. Readers are sent to the store only after that, so that the stream has what they do not find there.
    async fn start_again(&mut self) {
        let mut backoff = Backoff::new(RETRY_BASE, RETRY_CAP);
        while !self.stop.is_cancelled() {
            match open_at_end(&self.collections).await {
                Ok(changes) => {
                    self.changes = changes;
                    self.progress.restart();
                    self.committed.restart();
                    tracing::warn!("opened a new change stream; the feed starts a new epoch");
                    return;
                }
                Err(error) => self.pause("cannot open a new change stream yet", &error, &mut backoff).await,
            }
        }
    }

    async fn pause(&mut self, what: &str, error: &CallError, backoff: &mut Backoff) {
        tracing::debug!(error = kit::failure::chain(error), "{what}");
        let pause = backoff.next_delay().max(Duration::from_millis(10));
        self.stop.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
}

/// Whether the server is a member of a replica set, or a router.
async fn has_streams(collections: &Collections) -> Result<bool, CallError> {
    let hello = collections.database.hello().await?;
    Ok(hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid"))
}

async fn open_at_end(collections: &Collections) -> Result<Changes, CallError> {
    let changes = open_stream(collections, None).await?;
    barrier(collections).await?;
    Ok(changes)
}

async fn open_stream(collections: &Collections, token: Option<Token>) -> Result<Changes, CallError> {
    let news = doc! { "operationType": "insert", "fullDocument.imported": { "$exists": false } };
    collections.events.documents().watch(doc! { "$match": news }, token).await
}

/// A write that a majority confirms, together with everything before it. A stream begins at the end of the server's log, where there may be
/// events without a majority: neither would the stream show them, nor would a reader find them without this. Later reads wait for its time.
async fn barrier(collections: &Collections) -> Result<(), CallError> {
    let (stream, update) = (doc! { "_id": "streams" }, doc! { "$inc": { "opened": 1_i64 } });
    collections.update(&collections.counters, stream, update, true).await.map(drop)
}

/// An event that cannot be parsed is skipped: the next `seq` reveals the gap, and reading it reports the error.
fn event(document: Document) -> Option<Placed> {
    let parsed = bson::deserialize_from_document::<EventDocument>(document);
    let parsed = parsed.map_err(damaged).and_then(EventDocument::into_placed);
    let log =
        |error: &StoreError| tracing::error!(error = kit::failure::chain(error), "cannot publish an event");
    parsed.inspect_err(log).ok()
}

/// 136 CappedPositionLost, 260 InvalidResumeToken, 280 ChangeStreamFatalError, 286 ChangeStreamHistoryLost.
fn is_lost(error: &CallError) -> bool {
    matches!(error.code(), Some(136 | 260 | 280 | 286))
}
