//! The HTTP side: the page, `/ws`, `/healthz`, `/readyz`, `/metrics`; a check of `Host` before and strict headers behind all of it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};
use kit::http::{Connection, Hosts, is_foreign, is_navigation};
use kit::logins::Logins;
use kit::places::Places;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::legacy::Lists;
use crate::metrics::Metrics;
use crate::origins::Origins;
use crate::servers::ChatServers;
use crate::socket::{self, Socket};
use crate::{assets, session};

/// What every request and session shares.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) hosts: Hosts,
    pub(crate) origins: Origins,
    pub(crate) servers: ChatServers,
    pub(crate) places: Places,
    pub(crate) logins: Logins,
    /// What existing pages are told of who is online.
    pub(crate) lists: Arc<Lists>,
    pub(crate) metrics: Metrics,
    /// The WebSockets, which outlive the requests that opened them.
    pub(crate) sessions: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

pub(crate) fn router(app: Arc<App>) -> Router {
    let told = Arc::clone(&app);
    // Ready whatever the chat server does: the page loads, says what is wrong, and comes back by itself.
    let health = kit::http::health(|| true, move || told.metrics.render(told.places.taken()));
    Router::new()
        .route("/ws", any(open))
        .merge(health)
        .fallback(asset)
        .layer(from_fn(harden))
        .layer(from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

/// Refuses what a browser sends under a name that is not ours, or for a page of another origin. `/ws` has a list of its own of those.
async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let request = match app.hosts.check(request) {
        Ok(request) => request,
        Err(refusal) => return *refusal,
    };
    if request.uri().path() != "/ws" && is_foreign(request.headers()) && !is_link_to_page(&request) {
        return (StatusCode::FORBIDDEN, "pages of other origins may not use this server\n").into_response();
    }
    next.run(request).await
}

/// Somebody may follow a link to the page from anywhere.
fn is_link_to_page(request: &Request) -> bool {
    let is_page = matches!(request.uri().path(), "/" | "/index.html");
    is_page && *request.method() == Method::GET && is_navigation(request.headers())
}

/// What the page may do, and where it may be shown. `connect-src 'self'` covers the WebSocket of the same host (CSP Level 3).
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn asset(request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let allow = [(header::ALLOW, "GET, HEAD")];
        return (StatusCode::METHOD_NOT_ALLOWED, allow, "only GET and HEAD\n").into_response();
    }
    let wanted = request.headers().get(header::IF_NONE_MATCH);
    assets::find(request.uri().path()).map_or_else(
        || (StatusCode::NOT_FOUND, "there is nothing here; the page is at /\n").into_response(),
        |asset| asset.answer(wanted),
    )
}

async fn open(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    if !app.origins.allow(&headers) {
        app.metrics.refused.add(1);
        tracing::warn!(%peer, "rejected a WebSocket: its Origin is not allowed");
        let detail =
            "this page's origin may not connect; the operator can add it to web-adapter.allowed-origins\n";
        return (StatusCode::FORBIDDEN, detail).into_response();
    }
    let Ok(place) = app.places.take(peer.ip()) else {
        app.metrics.refused.add(1);
        let retry = [(header::RETRY_AFTER, "5")];
        return (StatusCode::SERVICE_UNAVAILABLE, retry, "too many connections\n").into_response();
    };
    app.metrics.opened.add(1);
    let sessions = app.sessions.clone();
    socket::bounded(upgrade).on_upgrade(move |web_socket| {
        sessions.track_future(async move {
            let _place = place;
            session::run(Socket::new(web_socket, connection), peer.ip(), &app).await;
        })
    })
}
