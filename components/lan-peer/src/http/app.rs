//! State shared by all requests.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::node::Node;

/// State shared by all requests.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) node: Arc<Node>,
    pub(super) followers: Arc<Semaphore>,
    pub(super) shutdown: CancellationToken,
}
