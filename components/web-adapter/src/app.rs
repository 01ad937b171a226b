//! What every request and session shares.

use std::sync::Arc;

use kit::http::Hosts;
use kit::logins::Logins;
use kit::places::Places;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::legacy::Lists;
use crate::metrics::Metrics;
use crate::origins::Origins;
use crate::servers::ChatServers;

/// What every request and session shares.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) hosts: Hosts,
    pub(crate) origins: Origins,
    pub(crate) servers: ChatServers,
    pub(crate) places: Places,
    pub(crate) logins: Logins,
    /// What existing pages are told of who is online.
    pub(crate) lists: Arc<Lists>,
    pub(crate) metrics: Arc<Metrics>,
    /// The WebSockets, which outlive the requests that opened them.
    pub(crate) sessions: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}
