//! Allows requests of programs on this machine and of our own page. Foreign pages in a browser on this machine are rejected, whatever host
//! name they use.
//!
//! That includes reads: a foreign page cannot see the response, but it can use up connections of followers, and infer content from response
//! times.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kit::http::{Hosts, harden, is_from_elsewhere};

use super::problem::problem;

/// Middleware: rejects requests that a foreign page may have sent, and adds security headers to every response.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let mut response = match Hosts::default().check(request) {
        Ok(request) if is_from_elsewhere(&request, &["/"]) => {
            problem(StatusCode::FORBIDDEN, "pages from elsewhere may not do this")
        }
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    harden(response.headers_mut());
    response
}
