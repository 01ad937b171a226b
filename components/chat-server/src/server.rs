//! What every connection shares.

use std::sync::Arc;

use kit::Secret;
use protocol::Reserved;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::journal::Journal;
use crate::access::registrar::Registrar;
use crate::backend::Backend;
use crate::config::Config;
use crate::delivery::appender::Appender;
use crate::delivery::cursors::Cursors;
use crate::delivery::hub::Hub;
use crate::directory::client_book::ClientBook;
use crate::metrics::Metrics;
use crate::traces::Traces;
use kit::logins::Logins;
use kit::send_queue::SendQueue;
use kit::unfinished::UnfinishedInput;

/// The parts of the server, put together by [`crate::run`].
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) config: Config,
    /// Names that only a service may take, and what looks like them.
    pub(crate) reserved: Reserved,
    /// What a service says to take them.
    pub(crate) service_token: Secret,
    pub(crate) backend: Arc<Backend>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) appender: Appender,
    pub(crate) registrar: Registrar,
    pub(crate) client_book: Arc<ClientBook>,
    pub(crate) cursors: Arc<Cursors>,
    pub(crate) send_queue: SendQueue,
    /// What unfinished messages of all connections may hold.
    pub(crate) unfinished: UnfinishedInput,
    /// How often each address has logged in.
    pub(crate) logins: Logins,
    pub(crate) journal: Journal,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) traces: Arc<Traces>,
    /// Every task of every connection.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when connections must end.
    pub(crate) shutdown: CancellationToken,
}
