//! Error responses.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocol::lan::view;

use crate::store::StoreError;

/// An error response with its reason.
pub(super) fn problem(status: StatusCode, detail: impl Into<String>) -> Response {
    (status, Json(view::Problem { detail: detail.into() })).into_response()
}

/// A store error: logged in full, shown on the page in short.
pub(super) fn store(error: &StoreError) -> Response {
    tracing::error!("the store: {}", kit::failure::chain(error));
    problem(StatusCode::INSUFFICIENT_STORAGE, error.to_string())
}

/// Unknown peer.
pub(super) fn nobody() -> Response {
    problem(StatusCode::NOT_FOUND, "unknown peer; it must be discovered, or listed in lan-peer.peers")
}
