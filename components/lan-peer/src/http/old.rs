//! The endpoints of the old kind, answer for answer; where its answer is a crash, ours says why.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocol::Body;
use protocol::lan::PeerKey;
use protocol::lan::old::{SendAnswer, SendRequest};
use protocol::lan::view;

use super::App;
use super::input::Input;
use super::problem::{self, problem};
use crate::old::outlet;

/// The latest texts, at most so many.
const TEXTS: usize = 1000;

/// What is said where nothing is sent.
const SUSPECT: &str = "nothing is sent to them: they are turned away, or somebody else was known under this name; compare \
    fingerprints and say that they are verified, or that you know them as somebody new";

/// `GET /peers`: who is there, and when they were heard, in Unix seconds.
pub(super) async fn peers(State(app): State<App>) -> Json<BTreeMap<String, f64>> {
    let present = app.node.present().into_iter();
    let seconds = |micros: i64| Duration::from_micros(micros.unsigned_abs()).as_secs_f64();
    Json(present.map(|(ip, at)| (ip.to_string(), seconds(at.micros()))).collect())
}

/// `GET /messages`: the texts that came in, the oldest first.
pub(super) async fn messages(State(app): State<App>) -> Response {
    match app.node.store.texts(TEXTS).await {
        Ok(texts) => Json(texts).into_response(),
        Err(error) => problem::store(&error),
    }
}

/// `POST /send`.
pub(super) async fn send(State(app): State<App>, Input(request): Input<SendRequest>) -> Response {
    let Ok(ip) = request.ip.parse::<IpAddr>() else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "ip: not an IP address");
    };
    // A node of ours at this address gets it encrypted.
    let peer = app.node.node_at(ip).map_or(PeerKey::Old(ip), PeerKey::Node);
    match hand_over(&app, peer, &request.msg).await {
        Ok(view::Entry { state: view::State::Failed, remark, .. }) => {
            problem(StatusCode::BAD_GATEWAY, remark.unwrap_or_default())
        }
        Ok(_) => Json(SendAnswer { status: "sent".to_owned() }).into_response(),
        Err(refusal) => refusal,
    }
}

/// Sends, to a peer that we know.
pub(super) async fn hand_over(app: &App, peer: PeerKey, text: &str) -> Result<view::Entry, Response> {
    let body =
        Body::parse(text).map_err(|error| problem(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    if !app.node.may_send(peer) {
        return Err(problem::nobody());
    }
    let sent = match peer {
        PeerKey::Old(ip) => outlet::send(&app.node, ip, &body).await,
        PeerKey::Node(id) if app.node.is_trusted(id) => app.node.enqueue(id, body).await,
        PeerKey::Node(_) => return Err(problem(StatusCode::CONFLICT, SUSPECT)),
    };
    sent.map_err(|error| problem::store(&error))
}
