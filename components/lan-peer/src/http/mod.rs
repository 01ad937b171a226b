//! The HTTP server, for this machine only: the page, `/api/v1/…` for the page and the terminal, and the legacy endpoints.

mod api;
mod app;
mod assets;
mod events;
mod guard;
mod input;
mod legacy;
mod problem;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::from_fn;
use axum::routing::{get, post};
use protocol::limits::LINE_BYTES;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::node::Node;
use app::App;

/// Most pages that follow events. Overflow rule: further ones are refused with 503.
const FOLLOWERS: usize = 64;

/// All routes, behind the guard.
pub(crate) fn router(node: Arc<Node>, shutdown: CancellationToken) -> Router {
    let told = Arc::clone(&node);
    let followers = Arc::new(Semaphore::new(FOLLOWERS));
    let app = App { node, followers: Arc::clone(&followers), shutdown };
    let following = move || FOLLOWERS - followers.available_permits();
    let health =
        kit::http::health(|| true, move || told.counters.render(&told.counts(following()), &told.store));
    Router::new()
        .route("/peers", get(legacy::peers))
        .route("/messages", get(legacy::messages))
        .route("/send", post(legacy::send))
        .route("/api/v1/overview", get(api::overview))
        .route("/api/v1/history", get(api::history))
        .route("/api/v1/send", post(api::send))
        .route("/api/v1/rename", post(api::rename))
        .route("/api/v1/doctor", get(api::doctor))
        .route("/api/v1/trust", post(api::trust))
        .route("/api/v1/qr.svg", get(api::qr_svg))
        .route("/api/v1/qr.txt", get(api::qr_text))
        .route("/api/v1/events", get(events::events))
        .merge(health)
        .fallback(async |request: Request| assets::PAGE.answer(&request))
        .layer(DefaultBodyLimit::max(LINE_BYTES))
        .layer(from_fn(guard::guard))
        .with_state(app)
}
