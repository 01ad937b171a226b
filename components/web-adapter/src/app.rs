//! State shared by all requests and sessions.

use std::sync::Arc;

use kit::http::Hosts;
use kit::logins::Logins;
use kit::places::Places;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::forwarded::Forwarders;
use crate::legacy::Lists;
use crate::metrics::Metrics;
use crate::origins::Origins;
use crate::servers::ChatServers;

/// State shared by all requests and sessions.
#[derive(Debug)]
pub(crate) struct App {
    /// Where the page is, as in the configuration.
    pub(crate) base_path: String,
    pub(crate) hosts: Hosts,
    pub(crate) origins: Origins,
    pub(crate) forwarders: Forwarders,
    pub(crate) servers: ChatServers,
    pub(crate) places: Places,
    pub(crate) logins: Logins,
    /// Lists of online users for existing pages.
    pub(crate) lists: Arc<Lists>,
    pub(crate) metrics: Arc<Metrics>,
    /// The sessions, which outlive their HTTP requests.
    pub(crate) sessions: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}
