//! The HTTP endpoints. [`routes`] lists them with their documentation; [`guard`] checks access.

mod accounts;
mod backup;
mod docs;
mod feed;
mod guard;
mod inbox;
mod input;
mod messages;
mod native;
mod openapi;
mod operation;
mod problem;
mod route;
mod routes;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware;
use protocol::sanitise;

use crate::service::Service;
use problem::Refusal;
use route::Access;

/// The router of all endpoints.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let (ready, metrics) = (Arc::clone(&service), Arc::clone(&service));
    let health = kit::http::health_with_reason(
        move || ready.health.reason(),
        move || metrics.metrics.render(metrics.health.reason().is_some()),
    );
    let mut router = Router::new();
    for route in routes::all() {
        let handler = match route.access {
            Access::Open => route.handler,
            Access::Local => {
                route.handler.layer(middleware::from_fn_with_state(Arc::clone(&service), guard::local))
            }
            Access::Token => {
                route.handler.layer(middleware::from_fn_with_state(Arc::clone(&service), guard::token))
            }
        };
        router = router.route(route.path, handler);
    }
    router
        .merge(docs::router())
        .merge(health)
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&service), guard::browser))
        .with_state(service)
}

async fn no_such_path(request: Request) -> Refusal {
    // The path is sanitised because the answer may be printed on a terminal.
    let path = sanitise::short_line(request.uri().path(), 100);
    Refusal::new(StatusCode::NOT_FOUND, format!("there is nothing at '{path}'; see /docs"))
}

async fn wrong_method(request: Request) -> Refusal {
    let detail = format!("{} is not what this path answers to; see /docs", request.method());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
