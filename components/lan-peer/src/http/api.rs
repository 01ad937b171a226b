//! `/api/v1/…`, for our page and terminal.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocol::lan::PeerKey;
use protocol::lan::view::{Overview, Rename, Send};
use serde::Deserialize;

use super::input::Input;
use super::problem::{self, problem};
use super::{App, old};

/// Most messages in one answer.
const PAGE: usize = 200;

/// `GET overview`: everybody.
pub(super) async fn overview(State(app): State<App>) -> Json<Overview> {
    Json(app.node.overview())
}

/// Which part of a conversation.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    peer: PeerKey,
    before: Option<i64>,
}

/// `GET history`: the latest messages with a peer before a row, the oldest first.
pub(super) async fn history(State(app): State<App>, which: Result<Query<Which>, QueryRejection>) -> Response {
    let Query(which) = match which {
        Ok(which) => which,
        Err(error) => return problem(StatusCode::UNPROCESSABLE_ENTITY, error.body_text()),
    };
    match app.node.store.history(which.peer, which.before.unwrap_or(i64::MAX), PAGE).await {
        Ok(entries) => Json(entries).into_response(),
        Err(error) => problem::store(&error),
    }
}

/// `POST send`: the answer is what became of it.
pub(super) async fn send(State(app): State<App>, Input(request): Input<Send>) -> Response {
    match old::hand_over(&app, request.peer, &request.text).await {
        Ok(entry) => Json(entry).into_response(),
        Err(refusal) => refusal,
    }
}

/// `POST rename`.
pub(super) async fn rename(State(app): State<App>, Input(request): Input<Rename>) -> Response {
    match app.node.rename(request.peer, &request.name).await {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => problem::nobody(),
        Err(error) => problem::store(&error),
    }
}
