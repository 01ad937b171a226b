//! A JSON request body with the JSON content type; otherwise 422.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::problem::problem;

/// A body of this type.
///
/// The content type is required because a foreign page cannot send it without a preflight request, which is never granted.
#[derive(Debug)]
pub(super) struct Input<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_json = kind.is_some_and(|kind| {
            kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
        });
        if !is_json {
            return Err(problem(
                StatusCode::UNPROCESSABLE_ENTITY,
                "the content type must be application/json",
            ));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        let body = serde_json::from_slice(&bytes);
        body.map(Self).map_err(|error| problem(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
    }
}
