//! Who may ask: no page of another origin, under no name but this machine's, and with the token.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kit::http::{harden, has_token, is_from_elsewhere};

use super::app::App;
use super::operation::Access;
use super::problem::Problem;

/// The paths of the page itself, to which others may link.
const PAGES: [&str; 2] = ["/", "/index.html"];

/// Rejects requests under a foreign host name or on behalf of a foreign page; every response has the security headers.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = match app.hosts.check(request) {
        Ok(request) if is_from_elsewhere(&request, &PAGES) => {
            Problem::new(StatusCode::FORBIDDEN, "pages of other origins may not use this server")
                .into_response()
        }
        Ok(request) => next.run(request).await,
        Err(refusal) => *refusal,
    };
    harden(response.headers_mut());
    response
}

/// Lets an operation be done by who may do it.
pub(super) async fn admit(
    State(app): State<Arc<App>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    Extension(access): Extension<Access>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match may(&app, client, access, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn may(app: &App, client: SocketAddr, access: Access, request: &Request) -> Result<(), Problem> {
    if access == Access::Open {
        return Ok(());
    }
    if let Some(token) = app.token()?
        && !has_token(&token, request.headers())
    {
        let detail = "the token is missing or wrong; 'launcher console --token' prints it";
        if !request.headers().contains_key(header::AUTHORIZATION) {
            return Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
        }
        return Err(app.failed_attempt(client.ip(), detail));
    }
    if access == Access::Change && app.is_read_only() {
        let detail = "the console is read-only; launcher.console-read-only = false allows changes";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(())
}
