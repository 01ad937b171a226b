//! Runs a plan: starts every component in the order of its needs, keeps it running, and stops all in the reverse order.
//!
//! * [`spec`] is the plan, [`status`] what is told of it, [`hooks`] and [`control`] how one speaks with a running supervisor.
//! * [`machine`] decides, in pure code; [`driver`] acts: it owns clocks, processes and sockets.
//! * [`logs`] writes what the components say, on a thread of its own. [`lock`] keeps us alone on a data directory, and
//!   [`sweep`] ends what an earlier launcher left behind.
//!
//! Nothing here knows a component by name.

mod cgroup;
mod children;
pub(crate) mod clock;
pub mod control;
mod driver;
pub mod events;
mod exit;
mod glob;
mod graph;
pub mod hooks;
mod kin;
mod limits;
mod listeners;
pub mod load;
mod lock;
pub(crate) mod logs;
mod machine;
mod oom;
mod outcome;
mod path;
pub(crate) mod proc;
mod run_dir;
mod schedule;
mod short_path;
mod signals;
pub mod spec;
pub mod status;
mod stop;
mod sweep;

pub(crate) use driver::program::run as run_program;

pub use cgroup::{
    controllers as control_group_controllers, join as join_control_group, place as control_group_place,
};
pub use graph::PlanError;
pub use hooks::{Consent, Hooks, Progress, Reloader};
pub use limits::{Limits, limit as set_limits};
pub use lock::{Claim, DataLock, control_group};
pub use logs::tap::{Heard, Hearer, Lines, Tap, tap};
pub use oom::Oom;
pub use outcome::{EndedBy, Outcome};
pub use schedule::{Schedule, ScheduleError};
pub use spec::{
    AlertSpec, Answered, Ask, Asking, Call, ComponentKind, ComponentSpec, Dependents, EndsAll, External,
    Launch, LauncherSpec, Listen, LogFormat, LogPolicy, Overlap, Plan, Probe, ProbeSpec, Readiness,
    RestartPolicy, RestartWhen, ScheduleSpec,
};
pub use status::{Awaited, Snapshot};
pub use stop::{StopSignal, StopSpec};
pub use sweep::{RUN, guard};

use kit::{Exit, Failure};
use tokio::sync::mpsc;

use self::cgroup::Realm;
use self::driver::Driver;
use self::machine::Machine;
use self::signals::Signals;

/// Runs a plan until INT, TERM, QUIT, the end of the terminal or the control socket's `down` ends it, and everything is stopped. A second
/// signal kills. Without a terminal HUP reads the configuration again.
///
/// Call it on the main thread, in a `current_thread` runtime: the parent-death signal of a child follows the thread that started it.
///
/// All that is left behind by processes that it starts comes to this process: it must have no other children than the supervisor's.
///
/// # Errors
/// [`kit::Exit::Config`] when the plan contradicts itself; any other when the directories, sockets or threads that we need
/// cannot be made.
pub async fn supervise(plan: Plan, claim: Claim, hooks: Hooks) -> Result<Outcome, Failure> {
    let signals = Signals::listen()?;
    let _adoption = children::adopt()?;
    let realm = Realm::make(plan.run_id);
    let realm = realm.inspect_err(|error| tracing::info!(%error, "no control groups are used")).ok();
    run(plan, claim, hooks, signals, realm).await
}

/// As [`supervise`], with another source of signals: each message is one. What is left behind by processes and is known by nothing goes
/// to init.
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

async fn run(
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
