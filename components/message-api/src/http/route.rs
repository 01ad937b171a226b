//! One endpoint.

use std::sync::Arc;

use axum::routing::MethodRouter;

use super::operation::Operation;
use crate::service::Service;

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody who can reach us.
    Open,
    /// Whoever is on this machine or has the service token.
    Local,
    /// Whoever has the service token.
    Token,
}

/// One path with its operations.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) handler: MethodRouter<Arc<Service>>,
    /// Empty for what is not worth a word: another spelling of a path.
    pub(super) operations: Vec<Operation>,
}
