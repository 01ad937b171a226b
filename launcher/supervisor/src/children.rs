//! The children of this process: those that it has started, and the orphans that it has adopted.
//!
//! A process whose parent has ended is reparented to the nearest subreaper (`PR_SET_CHILD_SUBREAPER`) or to process 1. We adopt all orphans
//! of our components, and are process 1 in many containers, so we must reap them. We never wait for an arbitrary child, which would take
//! the exit statuses that others in this process wait for.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::proc;

/// Started children that have not been reaped. Global, because children belong to the process.
static STARTED: Mutex<BTreeMap<u32, Role>> = Mutex::new(BTreeMap::new());

/// Whether orphans are adopted.
static ADOPTS: AtomicBool = AtomicBool::new(false);

/// Children often end in large numbers; they are reaped at most at this interval.
const PAUSE: Duration = Duration::from_millis(20);

/// The purpose of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The main process of a component, with its start time.
    Main(u64),
    /// A helper, such as a probe.
    Helper,
}

/// Registers a child that this process has started and not reaped; keep it as long as the child.
#[derive(Debug)]
pub(super) struct Started(u32);

impl Started {
    /// Registers the main process of a component.
    pub(super) fn main(pid: u32) -> Self {
        let started = proc::entry(pid).map_or(0, |entry| entry.started);
        registry().insert(pid, Role::Main(started));
        Self(pid)
    }

    /// Registers any other child.
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

/// Whether this process has started the child with this id.
pub(super) fn is_started(pid: u32) -> bool {
    registry().contains_key(&pid)
}

/// Whether this is an adopted orphan that can only come from this main process: no other one that is running existed when it was started.
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

/// Orphans are adopted until this is dropped.
#[derive(Debug)]
pub(super) struct Adoption(JoinHandle<()>);

impl Drop for Adoption {
    fn drop(&mut self) {
        self.0.abort();
        ADOPTS.store(false, Ordering::Relaxed);
        // They would not be reaped any more.
        let _ = want_orphans(false);
    }
}

/// Adopts and reaps orphans of the components. Every child that this process starts meanwhile must be registered.
pub(super) fn adopt() -> io::Result<Adoption> {
    let mut ends = signal(SignalKind::child())?;
    // Process 1 adopts them in any case.
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

/// Reaps adopted orphans that have ended.
fn reap() {
    let given = proc::children(proc::own()).into_iter().filter(|pid| !is_started(*pid));
    for pid in given.filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
        // Waits for this one only, and only if it has ended.
        let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

fn registry() -> MutexGuard<'static, BTreeMap<u32, Role>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}
