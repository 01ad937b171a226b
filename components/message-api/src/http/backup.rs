//! `GET /v1/backup` and `POST /v1/restore`.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use protocol::api::{RestoreRequest, Restored, Retention, RetentionRequest};
use tokio::sync::mpsc;

use super::problem::Refusal;
use crate::archive;
use crate::service::Service;
use crate::store::StoreError;

/// Streams a backup. If it breaks off, the last line is missing.
pub(super) async fn backup(State(service): State<Arc<Service>>) -> Response {
    let (chunks, waiting) = mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        let exporting = archive::export(&*service.store, chunks);
        match service.shutdown.run_until_cancelled(exporting).await {
            Some(Ok(())) => tracing::info!("backup finished"),
            Some(Err(error)) => {
                tracing::warn!(error = kit::failure::chain(&error), "backup failed");
            }
            None => tracing::warn!("backup aborted"),
        }
    });
    let lines = stream::unfold(waiting, |mut waiting| async move {
        let chunk = waiting.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), waiting))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

/// Replaces the content of the store with that of a backup file.
pub(super) async fn restore(service: Arc<Service>, asked: RestoreRequest) -> Result<Restored, Refusal> {
    let RestoreRequest { file } = asked;
    if !file.is_absolute() {
        return Err(Refusal::field("file", "an absolute path is required"));
    }
    Ok(service.store.restore(file).await?)
}

/// `POST /v1/retention`. Continues if the client disconnects.
pub(super) async fn retention(service: Arc<Service>, asked: RetentionRequest) -> Result<Retention, Refusal> {
    let RetentionRequest { confirmed } = asked;
    let sweeping = tokio::spawn(async move { crate::sweeper::on_request(&service, confirmed).await });
    let swept = sweeping.await.unwrap_or_else(|_| Err(StoreError::unavailable("the sweep ended badly")));
    Ok(swept?)
}
