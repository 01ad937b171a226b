//! The children that this process has started itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::proc;

/// All of them that have not been reaped. There is one for a process, because its children are the process's.
static STARTED: Mutex<BTreeMap<u32, Role>> = Mutex::new(BTreeMap::new());

/// What a child is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The main process of a component, and when it was started.
    Main(u64),
    /// Something of ours, such as a probe.
    Helper,
}

/// A child that was started by this process and not reaped; keep it as long as the child.
#[derive(Debug)]
pub(super) struct Started(u32);

impl Started {
    /// The main process of a component.
    pub(super) fn main(pid: u32) -> Self {
        let started = proc::entry(pid).map_or(0, |entry| entry.started);
        registry().insert(pid, Role::Main(started));
        Self(pid)
    }

    /// Any other.
    pub(super) fn helper(pid: u32) -> Self {
        registry().insert(pid, Role::Helper);
        Self(pid)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        registry().remove(&self.0);
    }
}

/// Whether this number is that of a child that this process has started.
pub(super) fn is_started(pid: u32) -> bool {
    registry().contains_key(&pid)
}

fn registry() -> MutexGuard<'static, BTreeMap<u32, Role>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}
