//! Errors as JSON: what was wrong, and in which field.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::api::Problem;

use crate::store::StoreError;

/// A rejected request.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    problem: Problem,
    /// `Retry-After`, in seconds.
    again: Option<u64>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, problem: Problem { detail: detail.into(), field: None }, again: None }
    }

    /// A body, path or query that breaks a rule: 422.
    pub(super) fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let problem = Problem { detail: detail.into(), field: Some(field.into()) };
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, problem, again: None }
    }

    /// Sets the field that the error is about.
    pub(super) fn about(mut self, field: impl Into<String>) -> Self {
        self.problem.field = Some(field.into());
        self
    }

    /// The body is larger than this path allows.
    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
    }

    /// The error of a batch, for our own servers. Drafts whose sender must change them or wait are rejected, so that the others in the
    /// batch need not wait with them.
    pub(super) fn of_batch(error: StoreError) -> Self {
        match error {
            StoreError::Full { detail } | StoreError::Limited { detail, .. } => Self::field("drafts", detail),
            error @ (StoreError::Refused { .. }
            | StoreError::Unavailable { .. }
            | StoreError::Damaged { .. }) => error.into(),
        }
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<StoreError> for Refusal {
    /// The cause of an error is for the log, not for the client.
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Refused { field, detail } => Self::field(*field, detail),
            StoreError::Full { detail } => Self::new(StatusCode::INSUFFICIENT_STORAGE, detail),
            StoreError::Limited { detail, again } => {
                let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, detail);
                Self { again: Some(again.as_secs()), ..refusal }
            }
            StoreError::Unavailable { detail, .. } | StoreError::Damaged { detail, .. } => {
                tracing::warn!(error = kit::failure::chain(&error), "the store failed a request");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.problem)).into_response();
        if let Some(again) = self.again {
            response.headers_mut().insert(header::RETRY_AFTER, again.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}
