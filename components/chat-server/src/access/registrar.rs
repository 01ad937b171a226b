//! Registers users in the store after their logins, in the background.
//!
//! The life of a registration: [`Registrar::note`] → the queue → the message API, with retries until it answers.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use protocol::UserName;
use tokio::sync::mpsc;

use crate::backend::Backend;

/// Registrations that may be queued; a few MiB. Overflow rule: the registration is dropped, and the user's next login repeats it.
const QUEUE: usize = 64 * 1024;
/// Concurrent requests. The store commits concurrent writes together.
const AT_ONCE: usize = 8;

/// Queues registrations. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Registrar(mpsc::Sender<(UserName, SocketAddr)>);

/// Sends queued registrations to the message API.
#[derive(Debug)]
pub(crate) struct Worker {
    backend: Arc<Backend>,
    waiting: mpsc::Receiver<(UserName, SocketAddr)>,
}

impl Registrar {
    /// A registrar, and the worker to run for it.
    pub(crate) fn new(backend: Arc<Backend>) -> (Self, Worker) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        (Self(queue), Worker { backend, waiting })
    }

    /// Queues the registration of a user who logged in from this address; ignores the probe.
    pub(crate) fn note(&self, name: &UserName, peer: SocketAddr) {
        if name.is_probe() {
            return;
        }
        if self.0.try_send((name.clone(), peer)).is_err() {
            tracing::warn!(%name, "too many logins at once; this one is not noted in the book of users");
        }
    }
}

impl Worker {
    /// Runs until every [`Registrar`] is dropped.
    pub(crate) async fn run(self) {
        let Self { backend, mut waiting } = self;
        let backend = &backend;
        poll_fn(move |context| waiting.poll_recv(context))
            .for_each_concurrent(AT_ONCE, |(name, peer)| async move {
                backend.read(|| backend.api.register(name.clone(), Some(peer.to_string()))).await;
            })
            .await;
    }
}
