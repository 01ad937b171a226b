//! Runs a plan: starts every component in the order of dependencies, keeps it running, and stops all in reverse order.
//!
//! * [`spec`] is the plan, [`status`] the reported state, [`hooks`] and [`control`] the interfaces of a running supervisor.
//! * [`machine`] decides, in pure code; [`driver`] executes: it owns clocks, processes and sockets.
//! * [`logs`] writes the components' output on threads of its own. [`lock`] ensures exclusive use of a data directory, and [`sweep`] ends
//!   processes of an earlier launcher.
//!
//! Nothing here knows a component by name.

mod cgroup;
mod children;
pub mod clock;
mod console_spec;
pub mod control;
mod driver;
pub mod events;
mod exit;
mod glob;
mod graph;
pub mod hooks;
mod limits;
mod listeners;
pub mod load;
mod lock;
pub mod logs;
mod machine;
mod oom;
mod outcome;
mod path;
pub mod proc;
mod process_tree;
mod run_dir;
mod schedule;
mod short_path;
mod signals;
pub mod spec;
pub mod status;
mod stop;
mod sweep;

pub use driver::program::run as run_program;

pub use cgroup::{
    controllers as control_group_controllers, join as join_control_group, place as control_group_place,
};
pub use console_spec::{ConsoleAddress, ConsoleSpec, NoConsoleAddress};
pub use graph::PlanError;
pub use hooks::{Consent, Hooks, Progress, Reloader};
pub use limits::{Limits, limit as set_limits};
pub use lock::{Claim, DataLock, control_group};
pub use logs::tap::{Heard, Hearer, Lines, Tap, tap};
pub use oom::Oom;
pub use outcome::{EndedBy, Outcome};
pub use schedule::{Schedule, ScheduleError};
pub use short_path::ShortPath;
pub use spec::{
    AlertSpec, Call, ComponentKind, ComponentSpec, Dependents, EndsAll, External, Launch, LauncherSpec,
    Listen, LogFormat, LogPolicy, Overlap, PendingProbe, Plan, Probe, ProbeMethod, ProbeResult, ProbeSpec,
    Readiness, RestartPolicy, RestartWhen, ScheduleSpec,
};
pub use status::{Awaited, Snapshot};
pub use stop::{StopSignal, StopSpec};
pub use sweep::{RUN, guard};

use std::pin::Pin;

use kit::{Exit, Failure};
use tokio::sync::mpsc;

use self::cgroup::Realm;
use self::driver::Driver;
use self::machine::Machine;
use self::signals::Signals;

/// Runs a plan until INT, TERM, QUIT, the end of the terminal or the control socket's `down`, and everything is stopped. A second signal
/// kills. Without a terminal HUP reloads the configuration.
///
/// Must be called on the main thread, in a `current_thread` runtime: the parent-death signal of a child depends on the thread that started
/// it.
///
/// Orphans of the started processes are adopted by this process, which must have no other children than the supervisor's.
///
/// # Errors
/// [`kit::Exit::Config`] if the plan is inconsistent; any other if the directories, sockets or threads cannot be created.
pub async fn supervise(plan: Plan, claim: Claim, hooks: Hooks) -> Result<Outcome, Failure> {
    let signals = Signals::listen()?;
    let _adoption = children::adopt()?;
    let realm = Realm::make(plan.run_id);
    let realm = realm.inspect_err(|error| tracing::info!(%error, "no control groups are used")).ok();
    run(plan, claim, hooks, signals, realm).await
}

/// Like [`supervise`], with another source of signals: each message is one. Orphans that nothing identifies go to init.
///
/// # Errors
/// As [`supervise`].
pub async fn supervise_until(
    plan: Plan,
    claim: Claim,
    hooks: Hooks,
    signals: mpsc::Receiver<()>,
) -> Result<Outcome, Failure> {
    run(plan, claim, hooks, Signals::from(signals), None).await
}

/// Boxed, so that it is compiled with this crate, and not again with its caller's.
fn run(
    plan: Plan,
    claim: Claim,
    hooks: Hooks,
    signals: Signals,
    realm: Option<Realm>,
) -> Pin<Box<dyn Future<Output = Result<Outcome, Failure>>>> {
    Box::pin(run_here(plan, claim, hooks, signals, realm))
}

async fn run_here(
    plan: Plan,
    mut claim: Claim,
    hooks: Hooks,
    signals: Signals,
    realm: Option<Realm>,
) -> Result<Outcome, Failure> {
    let dependencies: Vec<String> = plan.dependencies.iter().map(|external| external.name.clone()).collect();
    let machine = Machine::new(plan.components.clone(), &dependencies, kit::backoff::unit_random)
        .map_err(|error| Failure::new(Exit::Config, error))?;
    claim.sign(plan.run_id, realm.as_ref().map(Realm::path))?;
    Ok(Driver::supervise(plan, claim, hooks, machine, signals, realm).await?)
}
