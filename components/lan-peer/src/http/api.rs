//! `/api/v1/…`, for our page and terminal.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::lan::PeerKey;
use protocol::lan::view::{Check, Rename, Send, SetTrust, Trust, Verdict};
use qrcode::QrCode;
use serde::Deserialize;

use super::app::App;
use super::input::Input;
use super::legacy;
use super::problem::{self, problem};
use crate::doctor;
use crate::secure::identity::{self, Unproved};
use crate::store::StoreError;

/// Most messages in one answer.
const PAGE: usize = 200;

/// `GET overview`: this node and all peers.
pub(super) async fn overview(State(app): State<App>) -> Response {
    match app.node.overview().await {
        Ok(overview) => Json(overview).into_response(),
        Err(error) => problem::store(&error),
    }
}

/// `GET doctor`: why no peers are found.
pub(super) async fn doctor(State(app): State<App>) -> Json<Vec<Check>> {
    Json(doctor::examine(&app.node.facts()))
}

/// `GET qr.svg`: our link as a QR code.
pub(super) async fn qr_svg(State(app): State<App>) -> Response {
    let svg = code(&app).render::<qrcode::render::svg::Color<'_>>().min_dimensions(240, 240).build();
    ([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response()
}

/// `GET qr.txt`: the same for a terminal.
pub(super) async fn qr_text(State(app): State<App>) -> String {
    code(&app).render::<qrcode::render::unicode::Dense1x2>().build()
}

fn code(app: &App) -> QrCode {
    QrCode::new(identity::link(&app.node.me)).expect("a link fits into a QR code")
}

/// `POST trust`: sets how far the user trusts a node.
pub(super) async fn trust(State(app): State<App>, Input(request): Input<SetTrust>) -> Response {
    let SetTrust { peer, verdict, proof } = request;
    if let Some(Err(error)) = proof.map(|proof| identity::prove(&peer, &proof)) {
        let status = match error {
            Unproved::Incomplete(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Unproved::Another => StatusCode::CONFLICT,
        };
        return problem(status, error.to_string());
    }
    let trust = match verdict {
        Verdict::Verified => Trust::Verified,
        Verdict::New => Trust::New,
        Verdict::Blocked => Trust::Blocked,
    };
    done(app.node.set_trust(peer, trust).await)
}

/// Selects a part of a conversation.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    peer: PeerKey,
    before: Option<i64>,
}

/// `GET history`: the newest messages with a peer before a row, oldest first.
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

/// `POST send`: responds with the message's delivery state.
pub(super) async fn send(State(app): State<App>, Input(request): Input<Send>) -> Response {
    match legacy::hand_over(&app, &request).await {
        Ok(entry) => Json(entry).into_response(),
        Err(refusal) => refusal,
    }
}

/// `POST rename`.
pub(super) async fn rename(State(app): State<App>, Input(request): Input<Rename>) -> Response {
    done(app.node.rename(request.peer, &request.name).await)
}

fn done(found: Result<bool, StoreError>) -> Response {
    match found {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => problem::nobody(),
        Err(error) => problem::store(&error),
    }
}
