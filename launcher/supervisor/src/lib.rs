//! Runs a plan: starts every component in the order of dependencies, keeps it running, and stops all in reverse order.
//!
//! * [`spec`] is the plan, [`status`] the reported state, [`hooks`] and [`control`] the interfaces of a running supervisor.
//! * [`machine`] decides, in pure code; [`driver`] executes: it owns clocks, processes and sockets.
//! * [`accounts`] looks up users and groups of this machine.
//! * [`logs`] writes the components' output on threads of its own. [`lock`] ensures exclusive use of a data directory, and [`sweep`] ends
//!   processes of an earlier launcher.
//!
//! [`Supervisor`] and [`SupervisorHandle`] are the short way in; `examples/two_sleeps.rs` shows it. Nothing here knows a component by name.

pub mod accounts;
mod cgroup;
mod children;
pub mod clock;
mod console_spec;
pub mod control;
mod defaults;
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
mod supervise;
mod supervisor;
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
pub use supervise::{supervise, supervise_until};
pub use supervisor::{Supervisor, SupervisorHandle};
pub use sweep::{RUN, guard};
