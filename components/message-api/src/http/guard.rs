//! Access control.
//!
//! * Requests under a foreign host name or from a page of another origin are rejected, whatever the method ([`browser`]).
//! * Services' names are for services ([`name`]).
//! * `/v1` requires the service token ([`token`]); the endpoints of existing programs require it from other machines ([`local`]).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kit::http::{bearer, has_token, is_from_elsewhere};
use protocol::UserName;
use protocol::account::Access;

use super::problem::Refusal;
use crate::service::Service;

/// Rejects requests that a browser sends for others: DNS rebinding and cross-site request forgery.
pub(super) async fn browser(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    if !service.hosts.allow(request.headers()) {
        let detail = "this server does not answer to that Host name";
        return Refusal::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response();
    }
    // Links to the documentation may come from anywhere.
    if is_from_elsewhere(&request, &["/docs"]) {
        let detail = "pages of another origin may not use this server";
        return Refusal::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    let response = next.run(request).await;
    if response.status().is_client_error() {
        service.metrics.refused.add(1);
    }
    response
}

/// Rejects a body announced as larger than `limit` before any of it is read. A body without a length is cut off while it is read.
pub(super) async fn size(State(limit): State<usize>, request: Request, next: Next) -> Response {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if announced.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > limit as u64) {
        return Refusal::too_large().into_response();
    }
    next.run(request).await
}

/// Requires the service token.
pub(super) async fn token(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    if has_token(&service.token, request.headers()) {
        return next.run(request).await;
    }
    Refusal::new(StatusCode::UNAUTHORIZED, "this needs the service token").into_response()
}

/// Requires the service token or a client on this machine.
pub(super) async fn local(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let is_local = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    if is_local || has_token(&service.token, request.headers()) {
        return next.run(request).await;
    }
    let detail = "from another machine this needs the service token";
    Refusal::new(StatusCode::UNAUTHORIZED, detail).into_response()
}

/// Requires the service token to send as a service or to read for one, and a token of the account for a protected name.
pub(super) async fn name(
    service: &Service,
    headers: &HeaderMap,
    field: &'static str,
    name: &UserName,
) -> Result<(), Refusal> {
    if has_token(&service.token, headers) {
        return Ok(());
    }
    if !service.reserved.contains(name) {
        return account(service, headers, field, name).await;
    }
    let detail =
        format!("{field}: the name '{name}' is reserved for a service, which needs the service token");
    Err(Refusal::new(StatusCode::FORBIDDEN, detail).about(field))
}

/// Requires a token of the name's account, if it has one.
async fn account(
    service: &Service,
    headers: &HeaderMap,
    field: &'static str,
    name: &UserName,
) -> Result<(), Refusal> {
    let refuse = |detail: String| {
        Err(Refusal::new(StatusCode::UNAUTHORIZED, format!("{field}: {detail}")).about(field))
    };
    match service.accounts.access(name, bearer(headers)).await? {
        Access::Open | Access::Owner { .. } => Ok(()),
        Access::TokenMissing => refuse(format!(
            "the name '{name}' is protected; send 'Authorization: Bearer TOKEN' with a token of its account"
        )),
        Access::TokenWrong => refuse(format!("the token is not one of '{name}'")),
        Access::Closed => refuse(format!("the account '{name}' cannot be used")),
    }
}
