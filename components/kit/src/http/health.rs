//! Health and metrics endpoints, and the guard for servers that have nothing else.

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::hosts::{Hosts, is_foreign};

/// `/healthz` (the process answers), `/readyz` (`ready` says so) and `/metrics` (Prometheus text from `metrics`).
pub fn health<S: Clone + Send + Sync + 'static>(
    ready: impl Fn() -> bool + Clone + Send + Sync + 'static,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Router<S> {
    health_with_reason(move || if ready() { None } else { Some(String::new()) }, metrics)
}

/// Like [`health`], but `unready` returns the reason, which `/readyz` answers in its first line.
pub fn health_with_reason<S: Clone + Send + Sync + 'static>(
    unready: impl Fn() -> Option<String> + Clone + Send + Sync + 'static,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Router<S> {
    let readyz = move || {
        let answer = match unready() {
            None => (StatusCode::OK, "ready\n".to_owned()),
            Some(reason) if reason.is_empty() => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned()),
            Some(reason) => {
                let reason = reason.replace(['\n', '\r'], " ");
                (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n"))
            }
        };
        std::future::ready(answer)
    };
    let metrics = move || {
        let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
        std::future::ready((kind, metrics()))
    };
    Router::new()
        .route("/healthz", get(|| std::future::ready("ok\n")))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
}

/// Adds a guard to a router without one: requests must use a name of this machine and must not come from a foreign page. IP addresses,
/// `localhost` and the machine's own name are accepted.
pub fn guarded(router: Router) -> Router {
    router.layer(from_fn(refuse_others))
}

async fn refuse_others(request: Request, next: Next) -> Response {
    if is_foreign(request.headers()) {
        return (StatusCode::FORBIDDEN, "pages of other origins may not use this server\n").into_response();
    }
    match Hosts::of_this_machine().check(request) {
        Ok(request) => next.run(request).await,
        Err(refusal) => *refusal,
    }
}
