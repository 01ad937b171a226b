//! The endpoints of legacy programs, with the same responses; where a legacy program would crash, ours reports the reason.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocol::Body;
use protocol::lan::PeerKey;
use protocol::lan::legacy::{SendAnswer, SendRequest};
use protocol::lan::view;

use super::app::App;
use super::input::Input;
use super::problem::{self, problem};
use crate::legacy::sender;
use crate::node::Owner;

/// Most texts in one response.
const TEXTS: usize = 1000;

/// The error for an untrusted peer.
const SUSPECT: &str = "nothing is sent to them: they are turned away, or somebody else was known under this name; compare \
    fingerprints and say that they are verified, or that you know them as somebody new";

/// The error for an address that belonged to a node.
const ENCRYPTED_BEFORE: &str = "a node that encrypts is or was at this address, so nothing was sent there unencrypted; write to that \
    node, or block it, or send with \"unencrypted\": true ('launcher lan send --unencrypted') if an unencrypted peer has the address now";

/// The error for an address that belonged to several nodes.
const SEVERAL: &str = "several nodes that encrypt are or were at this address; say which one is meant, by its key ('launcher lan peers')";

/// `GET /peers`: the online addresses with the Unix time of their last presence.
pub(super) async fn peers(State(app): State<App>) -> Json<BTreeMap<String, f64>> {
    let present = app.node.present().into_iter();
    let seconds = |micros: i64| Duration::from_micros(micros.unsigned_abs()).as_secs_f64();
    Json(present.map(|(ip, at)| (ip.to_string(), seconds(at.micros()))).collect())
}

/// `GET /messages`: the received texts, oldest first.
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
    // A node at this address receives it encrypted, now or when it is back.
    let peer = match app.node.owner_of(ip) {
        Owner::Nobody => PeerKey::Legacy(ip),
        Owner::Node(id) => PeerKey::Node(id),
        Owner::Several => return problem(StatusCode::CONFLICT, SEVERAL),
    };
    match hand_over(&app, &view::Send { peer, text: request.msg, unencrypted: false }).await {
        Ok(view::Entry { state: view::State::Failed, remark, .. }) => {
            problem(StatusCode::BAD_GATEWAY, remark.unwrap_or_default())
        }
        Ok(_) if app.node.is_offline_node(peer) => (StatusCode::ACCEPTED, answer("queued")).into_response(),
        Ok(_) => answer("sent").into_response(),
        Err(refusal) => refusal,
    }
}

fn answer(status: &str) -> Json<SendAnswer> {
    Json(SendAnswer { status: status.to_owned() })
}

/// Sends to a known peer.
pub(super) async fn hand_over(app: &App, request: &view::Send) -> Result<view::Entry, Response> {
    let body = Body::parse(&request.text)
        .map_err(|error| problem(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    if !app.node.may_send(request.peer) {
        return Err(problem::nobody());
    }
    let sent = match request.peer {
        PeerKey::Legacy(ip) if !request.unencrypted && app.node.owner_of(ip) != Owner::Nobody => {
            return Err(problem(StatusCode::CONFLICT, ENCRYPTED_BEFORE));
        }
        PeerKey::Legacy(ip) => sender::send(&app.node, ip, &body).await,
        PeerKey::Node(id) if app.node.is_trusted(id) => app.node.enqueue(id, body).await,
        PeerKey::Node(_) => return Err(problem(StatusCode::CONFLICT, SUSPECT)),
    };
    sent.map_err(|error| problem::store(&error))
}
