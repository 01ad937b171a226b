//! The children of this process: those that it has started itself, and those that it was given.
//!
//! A process whose parent has ended is given to the nearest ancestor that wants it (`PR_SET_CHILD_SUBREAPER`), or to process 1. We
//! want all that our components leave behind, and are process 1 in many a container: whoever is given to us must be reaped by us. That
//! is never asked of the kernel for just any child, which would take the ends of those that others here wait for.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::proc;

/// All of them that have not been reaped. There is one for a process, because its children are the process's.
static STARTED: Mutex<BTreeMap<u32, Role>> = Mutex::new(BTreeMap::new());

/// Whether orphans are wanted.
static ADOPTS: AtomicBool = AtomicBool::new(false);

/// Ends come in swarms; they are looked at no more often than this.
const PAUSE: Duration = Duration::from_millis(20);

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

/// Whether this is an orphan that was given to us and that can only come from this main process: no other one that runs has been there
/// when it was started.
pub(super) fn is_orphan_of(pid: u32, entry: &proc::Entry, main: u32) -> bool {
    if !ADOPTS.load(Ordering::Relaxed) || entry.parent != proc::own() {
        return false;
    }
    let registry = registry();
    let mut candidates = registry.iter().filter_map(|(pid, role)| match role {
        Role::Main(started) => (*started <= entry.started).then_some(*pid),
        Role::Helper => None,
    });
    !registry.contains_key(&pid) && candidates.next() == Some(main) && candidates.next().is_none()
}

/// Orphans are wanted as long as this lives.
#[derive(Debug)]
pub(super) struct Adoption(JoinHandle<()>);

impl Drop for Adoption {
    fn drop(&mut self) {
        self.0.abort();
        ADOPTS.store(false, Ordering::Relaxed);
        // Nobody would reap them from now on.
        let _ = want_orphans(false);
    }
}

/// Takes what the components leave behind, and reaps it. Every child that this process starts meanwhile must be registered.
pub(super) fn adopt() -> io::Result<Adoption> {
    let mut ends = signal(SignalKind::child())?;
    // As process 1 we are given them in any case.
    if let Err(error) = want_orphans(true) {
        tracing::warn!(%error, "orphaned processes go to init");
    }
    ADOPTS.store(true, Ordering::Relaxed);
    Ok(Adoption(tokio::spawn(async move {
        loop {
            reap();
            tokio::time::sleep(PAUSE).await;
            if ends.recv().await.is_none() {
                return;
            }
        }
    })))
}

#[cfg(target_os = "linux")]
fn want_orphans(is_wanted: bool) -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(is_wanted.then(rustix::process::getpid))?)
}

#[cfg(not(target_os = "linux"))]
fn want_orphans(_: bool) -> io::Result<()> {
    Ok(())
}

/// Reaps who has ended of those that were given to us.
fn reap() {
    let given = proc::children(proc::own()).into_iter().filter(|pid| !is_started(*pid));
    for pid in given.filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
        // Only that one, and only if it has ended.
        let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

fn registry() -> MutexGuard<'static, BTreeMap<u32, Role>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}
