//! The state that all connections share.

use std::sync::Arc;

use kit::Secret;
use protocol::Reserved;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::login_log::LoginLog;
use crate::access::registrar::Registrar;
use crate::backend::Backend;
use crate::config::Config;
use crate::delivery::appender::Appender;
use crate::delivery::cursors::Cursors;
use crate::delivery::hub::Hub;
use crate::directory::client_book::ClientBook;
use crate::directory::protected_names::ProtectedNames;
use crate::metrics::Metrics;
use crate::traces::Traces;
use kit::logins::Logins;
use kit::send_queue::SendQueue;
use kit::unfinished::UnfinishedInput;

/// The parts of the server, assembled by [`crate::run`].
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) config: Config,
    /// Names that only a service may use, and names that look like them.
    pub(crate) reserved: Reserved,
    /// The secret that lets services use the reserved names.
    pub(crate) service_token: Secret,
    /// Names that only their owners may use.
    pub(crate) protected: ProtectedNames,
    pub(crate) backend: Arc<Backend>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) appender: Appender,
    pub(crate) registrar: Registrar,
    pub(crate) client_book: Arc<ClientBook>,
    pub(crate) cursors: Arc<Cursors>,
    pub(crate) send_queue: SendQueue,
    /// Bounds the memory of incomplete input over all connections.
    pub(crate) unfinished: UnfinishedInput,
    /// The login rate of each address.
    pub(crate) logins: Logins,
    pub(crate) login_log: LoginLog,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) traces: Arc<Traces>,
    /// All tasks of connections.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when connections must end.
    pub(crate) shutdown: CancellationToken,
}

impl Server {
    /// Starts a connection's task.
    ///
    /// Boxed, because memory of its size is needed again by the next one: tokio aligns a task to 128 bytes (`Cell` in its `task/core.rs`), and
    /// glibc looks for an aligned block within a larger one, so that a freed task has room for no other of its size. Ten thousand logins left
    /// 26 MiB of such gaps. A box needs no alignment, and the rest of a task is small.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(Box::pin(task));
    }
}
