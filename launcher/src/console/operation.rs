//! One operation: where it is asked for, who may, what it takes and answers. All of that is said by types, once.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use kit::http::openapi::{SchemaOf, schema};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::app::App;
use super::input::{Body, Parameters};
use super::problem::Problem;

/// What the paths of all operations begin with.
pub(super) const ROOT: &str = "/api/v1";

/// The parameters' own schema: each of its properties is one.
fn properties<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

/// Who may ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Whoever reaches the server.
    Open,
    /// Whoever has the token.
    Read,
    /// The same, unless the console is read-only.
    Change,
}

/// One operation.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) parameters: Option<SchemaOf>,
    pub(super) body: Option<SchemaOf>,
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) answer: SchemaOf,
    pub(super) handler: MethodRouter<Arc<App>>,
}

impl Operation {
    /// `GET`: shows something. `P` are the parameters, in the path and in the query.
    pub(super) fn show<P, A, F>(path: &'static str, answer: fn(Arc<App>, P) -> F) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        A: Serialize + JsonSchema + 'static,
        F: Future<Output = Result<A, Problem>> + Send + 'static,
    {
        let handler = move |State(app), Parameters(asked): Parameters<P>| async move {
            answer(app, asked).await.map(Json)
        };
        Self::new("get", path, get(handler), schema::<A>).with_parameters::<P>()
    }

    /// `GET` of another kind than JSON; `A` is what one piece of it is.
    pub(super) fn raw<P, A, F>(
        path: &'static str,
        kind: &'static str,
        answer: fn(Arc<App>, P, IpAddr) -> F,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        A: JsonSchema,
        F: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        let handler = move |State(app), ConnectInfo(client): ConnectInfo<SocketAddr>, asked| async move {
            let Parameters(asked): Parameters<P> = asked;
            answer(app, asked, client.ip()).await
        };
        Self { kind, ..Self::new("get", path, get(handler), schema::<A>) }.with_parameters::<P>()
    }

    /// `POST`: changes something.
    pub(super) fn change<B, A, F>(
        path: &'static str,
        status: StatusCode,
        answer: fn(Arc<App>, B) -> F,
    ) -> Self
    where
        B: DeserializeOwned + JsonSchema + Send + 'static,
        A: Serialize + JsonSchema + 'static,
        F: Future<Output = Result<A, Problem>> + Send + 'static,
    {
        let handler = move |State(app), Body(asked): Body<B>| async move {
            answer(app, asked).await.map(|answer| (status, Json(answer)).into_response())
        };
        let new = Self::new("post", path, post(handler), schema::<A>);
        Self { access: Access::Change, status, body: Some(schema::<B>), ..new }
    }

    fn new(
        method: &'static str,
        path: &'static str,
        handler: MethodRouter<Arc<App>>,
        answer: SchemaOf,
    ) -> Self {
        Self {
            method,
            path,
            access: Access::Read,
            summary: "",
            description: "",
            parameters: None,
            body: None,
            status: StatusCode::OK,
            kind: "application/json",
            answer,
            handler,
        }
    }

    fn with_parameters<P: JsonSchema>(self) -> Self {
        Self { parameters: Some(properties::<P>), ..self }
    }

    /// What the document says of it.
    pub(super) fn says(self, summary: &'static str, description: &'static str) -> Self {
        Self { summary, description, ..self }
    }

    /// The same for everybody who reaches the server.
    pub(super) fn open(self) -> Self {
        Self { access: Access::Open, ..self }
    }

    /// The method as it stands in a request.
    #[cfg(test)]
    pub(super) fn verb(&self) -> String {
        self.method.to_ascii_uppercase()
    }
}
