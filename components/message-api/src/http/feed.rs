//! `GET /v1/feed`: an endless stream of JSON lines.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use protocol::api::FeedPosition;
use serde::Deserialize;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::input::Asked;
use super::problem::Refusal;
use crate::feed::Opening;
use crate::service::Service;

/// The position to resume at.
#[derive(Debug, Deserialize)]
pub(super) struct From {
    epoch: Option<Uuid>,
    after: Option<u64>,
    /// The reader whose own events it needs no bodies of.
    own: Option<Uuid>,
}

/// Streams events until the reader disconnects or lags, or the server stops.
pub(super) async fn feed(
    State(service): State<Arc<Service>>,
    Asked(from): Asked<From>,
) -> Result<Response, Refusal> {
    let position = match (from.epoch, from.after) {
        (Some(epoch), Some(index)) => Some(FeedPosition { epoch, index }),
        (None, None) => None,
        (Some(_), None) => return Err(Refusal::field("after", "epoch and after go together")),
        (None, Some(_)) => return Err(Refusal::field("epoch", "epoch and after go together")),
    };
    let log = log(&service).await?;
    // One chunk is in flight while the next is made; a reader that takes none holds only these.
    let (chunks, waiting) = mpsc::channel::<Bytes>(1);
    let own = from.own.filter(|_| service.store.marks_own());
    tokio::spawn(pump(service, Opening { from: position, log: Some(log), own }, chunks));
    let lines = stream::unfold(waiting, |mut waiting| async move {
        let chunk = waiting.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), waiting))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// The log's id, read before the feed's epoch can end: a restore changes the log first and then begins an epoch.
async fn log(service: &Service) -> Result<Uuid, Refusal> {
    loop {
        let epoch = service.feed.position().epoch;
        let log = service.store.log().await?;
        if service.feed.position().epoch == epoch {
            return Ok(log);
        }
    }
}

async fn pump(service: Arc<Service>, opening: Opening, chunks: mpsc::Sender<Bytes>) {
    let _counted = service.metrics.feed_readers.enter();
    let mut reader = service.feed.read(opening);
    loop {
        let next = tokio::select! {
            () = service.shutdown.cancelled() => return,
            () = chunks.closed() => return,
            next = reader.next() => next,
        };
        let chunk = match next {
            Ok(chunk) => chunk,
            Err(error) => {
                service.metrics.feed_lagged.add(1);
                tracing::warn!(%error, "feed subscriber lagged; disconnecting it");
                return;
            }
        };
        let sent = tokio::select! {
            () = service.shutdown.cancelled() => return,
            sent = chunks.send(chunk) => sent,
        };
        if sent.is_err() {
            return;
        }
    }
}
