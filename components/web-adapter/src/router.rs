//! The HTTP routes: the page, `/ws`, `/healthz`, `/readyz`, `/metrics`; requests are checked by `Host`, and responses get security headers.
//!
//! With a base path the page and `/ws` are below it, the others stay where the launcher and Prometheus ask for them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use kit::http::{Connection, harden, is_from_elsewhere};

use crate::app::App;
use crate::assets::PAGE;
use crate::session;
use crate::socket::{self, Socket};

pub(crate) fn router(app: Arc<App>, base_path: &str) -> Router {
    let told = Arc::clone(&app);
    // Ready independently of the chat server: the page loads, shows what is wrong, and reconnects by itself.
    let health = kit::http::health(|| true, move || told.metrics.render(told.places.taken()));
    let page = Router::new().route("/ws", any(open));
    let page = page.fallback(async |request: Request| PAGE.answer(&request));
    let all = if base_path.is_empty() { page.merge(health) } else { below(base_path, page).merge(health) };
    all.layer(from_fn(hardened)).layer(from_fn_with_state(Arc::clone(&app), guard)).with_state(app)
}

/// The page below a path. Its own addresses are relative, so it needs the slash at the end.
fn below(base_path: &str, page: Router<Arc<App>>) -> Router<Arc<App>> {
    let root: Arc<str> = format!("{base_path}/").into();
    let (target, told) = (Arc::clone(&root), Arc::clone(&root));
    let redirect = move || {
        let target = Arc::clone(&target);
        async move { Redirect::permanent(&target) }
    };
    let page_at_root = page.clone().route("/", get(async |request: Request| PAGE.answer(&request)));
    Router::new().route(base_path, get(redirect)).nest(&root, page_at_root).fallback(move || {
        let told = Arc::clone(&told);
        async move { (StatusCode::NOT_FOUND, format!("there is nothing here; the page is at {told}\n")) }
    })
}

/// Rejects requests under a foreign host name or on behalf of a foreign page. `/ws` has its own list of origins.
async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if !app.hosts.allow(request.headers()) {
        return wrong_host(request.headers());
    }
    let path = request.uri().path();
    let inside = path.strip_prefix(app.base_path.as_str()).unwrap_or(path);
    let pages = if matches!(inside, "" | "/" | "/index.html") { &[path][..] } else { &[] };
    if inside != "/ws" && is_from_elsewhere(&request, pages) {
        return (StatusCode::FORBIDDEN, "pages of other origins may not use this server\n").into_response();
    }
    next.run(request).await
}

/// Says which key lets browsers use this name.
fn wrong_host(headers: &HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host: String = host.chars().filter(char::is_ascii_graphic).take(200).collect();
    let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
    tracing::warn!(%host, "rejected a request: its Host is not in web-adapter.allowed-hosts");
    let detail = format!(
        "this server does not answer to the host name {host}; the operator can add \"{name}\" to web-adapter.allowed-hosts\n"
    );
    (StatusCode::MISDIRECTED_REQUEST, detail).into_response()
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
    let client = app.forwarders.client(peer.ip(), &headers);
    // A page that cannot read why its WebSocket was refused asks by a POST, which carries its origin as well.
    if let Err(refusal) = app.origins.check(&headers) {
        app.metrics.refused.add(1);
        tracing::warn!(%client, "rejected a WebSocket: {refusal}");
        return (StatusCode::FORBIDDEN, format!("{refusal}\n")).into_response();
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let Ok(place) = app.places.take(client) else {
        app.metrics.refused.add(1);
        let retry = [(header::RETRY_AFTER, "5")];
        return (StatusCode::SERVICE_UNAVAILABLE, retry, "too many connections\n").into_response();
    };
    app.metrics.opened.add(1);
    let sessions = app.sessions.clone();
    socket::bounded(upgrade).on_upgrade(move |web_socket| {
        sessions.track_future(async move {
            let _place = place;
            session::run(Socket::new(web_socket, connection, Arc::clone(&app.metrics)), client, &app).await;
        })
    })
}
