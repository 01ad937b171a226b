//! The state that both servers share.

use std::sync::{Mutex, MutexGuard};

use kit::Secret;
use protocol::{Draft, Event};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::world::World;

/// The state that both servers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) world: Mutex<World>,
    /// Counts what happened, so that a test can wait for it.
    pub(super) changes: watch::Sender<u64>,
    /// Cancelled and replaced by [`FakeServers::drop_connections`].
    pub(super) connections: Mutex<CancellationToken>,
    pub(super) token: Secret,
}

impl Shared {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("nobody panics while holding this lock")
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn append(&self, draft: Draft) -> (Event, bool) {
        let result = self.world().append(draft);
        self.changed();
        result
    }
}
