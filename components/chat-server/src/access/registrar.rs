//! Notes logins in the book of users, behind the sessions: nobody waits for it.
//!
//! The life of a note: [`Registrar::note`] → the queue → the message API, asked again until it answers.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use protocol::UserName;
use tokio::sync::mpsc;

use crate::backend::Backend;

/// Logins that wait to be noted; a few MiB. Overflow rule: the login is not noted, and its name stands in the book from the next one on.
const QUEUE: usize = 64 * 1024;
/// On their way at once. Each is a write of the store, which takes together what it is given together.
const AT_ONCE: usize = 8;

/// Takes notes. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Registrar(mpsc::Sender<(UserName, SocketAddr)>);

/// Hands them on.
#[derive(Debug)]
pub(crate) struct Worker {
    backend: Arc<Backend>,
    waiting: mpsc::Receiver<(UserName, SocketAddr)>,
}

impl Registrar {
    /// A registrar, and the worker that must be run for it.
    pub(crate) fn new(backend: Arc<Backend>) -> (Self, Worker) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        (Self(queue), Worker { backend, waiting })
    }

    /// A user logged in from here. The probe is none.
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
    /// Works until every [`Registrar`] is gone.
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
