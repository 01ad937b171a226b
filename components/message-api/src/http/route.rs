//! A route of the HTTP server.

use std::sync::Arc;

use axum::routing::MethodRouter;

use super::operation::Operation;
use crate::service::Service;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Any client.
    Open,
    /// Clients on this machine or with the service token.
    Local,
    /// Clients with the service token.
    Token,
}

/// A path with its operations.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) handler: MethodRouter<Arc<Service>>,
    /// Empty for undocumented paths, such as another spelling of a path.
    pub(super) operations: Vec<Operation>,
}
