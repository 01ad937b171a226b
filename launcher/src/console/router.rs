//! All routes: the operations of the table below `/api/v1`, and the page.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};

use super::app::App;
use super::operation::{Operation, ROOT};
use super::problem::Problem;
use super::{assets, guard, openapi, table};

/// All routes, behind the guard.
pub(super) fn router(app: Arc<App>) -> Router {
    let operations = table::all().into_iter().chain([openapi::operation()]);
    let routes = operations.fold(Router::new(), |router, operation| {
        let Operation { path, access, handler, .. } = operation;
        let handler = handler
            .layer::<_, Infallible>(from_fn_with_state(Arc::clone(&app), guard::admit))
            .layer(Extension(access));
        router.route(&format!("{ROOT}{path}"), handler)
    });
    routes
        .fallback(elsewhere)
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method")
        })
        .layer(from_fn_with_state(Arc::clone(&app), guard::guard))
        .with_state(app)
}

/// What is no operation is a file of the page.
async fn elsewhere(request: Request) -> Response {
    if request.uri().path().starts_with("/api/") {
        let detail = format!("there is nothing here; {ROOT}/openapi.json lists what there is");
        return Problem::new(StatusCode::NOT_FOUND, detail).into_response();
    }
    assets::answer(&request)
}
