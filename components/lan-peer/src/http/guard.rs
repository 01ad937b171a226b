//! Who may ask: programs of this machine, and our own page. A page from elsewhere that a browser of this machine shows may not,
//! under whatever name it was made to reach us.
//!
//! Of what only reads, too: a foreign page cannot see the answer, but it can take the places of those who follow, and tell by the time
//! that an answer takes what is in it.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kit::http::{Hosts, harden, is_from_elsewhere};

use super::problem::problem;

/// Middleware: refuses what a foreign page may have sent, and hardens every answer.
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
