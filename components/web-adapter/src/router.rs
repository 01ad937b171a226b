//! The HTTP routes: the page, `/ws`, `/healthz`, `/readyz`, `/metrics`; requests are checked by `Host`, and responses get security headers.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};
use kit::http::{Connection, harden, is_from_elsewhere};

use crate::app::App;
use crate::assets::PAGE;
use crate::session;
use crate::socket::{self, Socket};

pub(crate) fn router(app: Arc<App>) -> Router {
    let told = Arc::clone(&app);
    // Ready independently of the chat server: the page loads, shows what is wrong, and reconnects by itself.
    let health = kit::http::health(|| true, move || told.metrics.render(told.places.taken()));
    Router::new()
        .route("/ws", any(open))
        .merge(health)
        .fallback(async |request: Request| PAGE.answer(&request))
        .layer(from_fn(hardened))
        .layer(from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

/// Rejects requests under a foreign host name or on behalf of a foreign page. `/ws` has its own list of origins.
async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let request = match app.hosts.check(request) {
        Ok(request) => request,
        Err(refusal) => return *refusal,
    };
    if request.uri().path() != "/ws" && is_from_elsewhere(&request, &["/", "/index.html"]) {
        return (StatusCode::FORBIDDEN, "pages of other origins may not use this server\n").into_response();
    }
    next.run(request).await
}

async fn hardened(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    harden(response.headers_mut());
    response
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
            session::run(Socket::new(web_socket, connection, Arc::clone(&app.metrics)), peer.ip(), &app)
                .await;
        })
    })
}
