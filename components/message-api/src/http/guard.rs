//! Who may ask for what.
//!
//! * Nothing is answered under a host name that is not ours, nor for a page of another origin, whatever the method ([`browser`]).
//! * Services' names are for services ([`name`]).
//! * `/v1` wants the service token ([`token`]); the endpoints that existing programs use want it from other machines ([`local`]).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kit::http::{has_token, is_from_elsewhere};
use protocol::UserName;

use super::problem::Refusal;
use crate::service::Service;

/// Refuses what a browser sends for somebody else: rebound names (DNS rebinding) and other origins (request forgery).
pub(super) async fn browser(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    if !service.hosts.allow(request.headers()) {
        let detail = "this server does not answer to that Host name";
        return Refusal::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response();
    }
    // Somebody may follow a link to the documentation from anywhere.
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

/// Refuses a body that is announced as larger than `limit` before any of it is read. What is not announced is cut off while it
/// is read.
pub(super) async fn size(State(limit): State<usize>, request: Request, next: Next) -> Response {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if announced.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > limit as u64) {
        return Refusal::too_large().into_response();
    }
    next.run(request).await
}

/// Wants the service token.
pub(super) async fn token(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    if has_token(&service.token, request.headers()) {
        return next.run(request).await;
    }
    Refusal::new(StatusCode::UNAUTHORIZED, "this needs the service token").into_response()
}

/// Wants the service token, or a peer on this machine.
pub(super) async fn local(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let is_local = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    if is_local || has_token(&service.token, request.headers()) {
        return next.run(request).await;
    }
    let detail = "from another machine this needs the service token";
    Refusal::new(StatusCode::UNAUTHORIZED, detail).into_response()
}

/// Wants the service token of who speaks as a service, or reads for one.
pub(super) fn name(
    service: &Service,
    headers: &HeaderMap,
    field: &'static str,
    name: &UserName,
) -> Result<(), Refusal> {
    if !service.reserved.contains(name) || has_token(&service.token, headers) {
        return Ok(());
    }
    let detail =
        format!("{field}: the name '{name}' is reserved for a service, which needs the service token");
    Err(Refusal::new(StatusCode::FORBIDDEN, detail).about(field))
}
