//! Who may ask for what.
//!
//! * Nothing is answered under a host name that is not ours, nor to a page of another origin ([`browser`]).
//! * `/v1` wants the service token ([`token`]); the endpoints that existing programs use want it from other machines ([`local`]).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Refusal;
use crate::service::Service;

/// Refuses what a browser sends for somebody else: rebound names (DNS rebinding) and other origins (request forgery).
pub(super) async fn browser(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    if !service.hosts.allow(request.headers()) {
        let detail = "this server does not answer to that Host name";
        return Refusal::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response();
    }
    if !is_same_origin(request.headers()) {
        let detail = "pages of another origin may not use this server";
        return Refusal::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    let response = next.run(request).await;
    if response.status().is_client_error() {
        service.metrics.refused.add(1);
    }
    response
}

/// Only browsers send `Origin`; theirs is our own address when the page is ours.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let (Ok(origin), Some(Ok(host))) = (origin.to_str(), headers.get(header::HOST).map(|host| host.to_str()))
    else {
        return false;
    };
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
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
    if has_token(&service, request.headers()) {
        return next.run(request).await;
    }
    Refusal::new(StatusCode::UNAUTHORIZED, "this needs the service token").into_response()
}

/// Wants the service token, or a peer on this machine.
pub(super) async fn local(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let is_local = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    if is_local || has_token(&service, request.headers()) {
        return next.run(request).await;
    }
    let detail = "from another machine this needs the service token";
    Refusal::new(StatusCode::UNAUTHORIZED, detail).into_response()
}

fn has_token(service: &Service, headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, token)) = value.and_then(|value| value.split_once(' ')) else { return false };
    // An empty secret would be matched by anybody.
    scheme.eq_ignore_ascii_case("bearer")
        && !service.token.expose().is_empty()
        && service.token.matches(token.trim())
}
