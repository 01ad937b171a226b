//! The events and actions of the machine.

use std::time::{Duration, Instant};

use crate::exit::ProcessExit;
use crate::graph::Graph;
use crate::oom::Oom;
use crate::spec::ComponentSpec;
use crate::status::State;

/// An event.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The first event.
    Begin,
    /// The process of an incarnation was started.
    Spawned { name: String, epoch: u64, pid: u32 },
    /// An incarnation could not be started.
    SpawnFailed { name: String, epoch: u64, error: String },
    /// It reports readiness, or its readiness probe succeeds.
    Ready { name: String, epoch: u64 },
    /// Its readiness probe fails.
    Unready { name: String, epoch: u64, reason: String },
    /// Its liveness probe fails, or it requests a restart.
    Unhealthy { name: String, epoch: u64, reason: String },
    /// It feeds the watchdog.
    Alive { name: String, epoch: u64 },
    /// It requests more time for starting or stopping.
    Extend { name: String, epoch: u64, by: Duration },
    /// It announces that it is stopping.
    Leaving { name: String, epoch: u64 },
    /// It reports its status.
    StatusText { name: String, epoch: u64, text: String },
    /// Its main process has ended, and descendants are running.
    MainExited { name: String, epoch: u64, exit: ProcessExit },
    /// These of its processes do not end after SIGKILL, described for the operator.
    Unkillable { name: String, epoch: u64, who: String },
    /// Its main process has been reaped, and no descendant is running.
    Exited { name: String, epoch: u64, exit: ProcessExit, oom: Oom },
    /// Its last lines have been read: the last one, and the crash's fingerprint.
    LastWords { name: String, epoch: u64, line: Option<String>, print: Option<u64> },
    /// An alarm fires.
    Alarm { name: String, token: u64 },
    /// The time of its schedule has come.
    Due { name: String },
    /// A file of it has changed.
    Touched { name: String, why: String },
    /// The operator wants something of a component that [`Machine::refusal`] does not refuse.
    Operator { name: String, verb: Verb },
    /// This process was suspended, so nothing was received for a while.
    Standstill,
    /// The state of a dependency.
    Dependency { name: String, ok: bool },
    /// A new plan.
    Replace { components: Vec<ComponentSpec>, dependencies: Vec<String>, graph: Graph },
    /// Stop everything.
    Quit,
    /// Kill everything.
    Kill,
}

/// An action. Several are carried out in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Start a process; answered by [`Event::Spawned`] or [`Event::SpawnFailed`].
    Spawn { name: String, epoch: u64 },
    /// Send TERM, then CONT, to all its processes.
    Terminate { name: String, epoch: u64 },
    /// Send KILL to all its processes.
    Kill { name: String, epoch: u64 },
    /// Give up on a process that does not end.
    Abandon { name: String, epoch: u64, who: Option<String> },
    /// Fire at this time; replaces the component's earlier alarm.
    Alarm { name: String, token: u64, at: Instant },
    /// Its state changed.
    Changed { name: String, epoch: u64, from: State, to: State, why: String },
    /// It is no longer in the plan.
    Forget { name: String },
    /// The end of this component, described in these words, stops everything.
    StopAll { name: String, exit: Option<ProcessExit>, why: String },
    /// Everything has ended; always the last action.
    Finish,
}

/// A request of the operator for a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Start it, and reset its crash count.
    Start,
    /// Stop it.
    Stop,
    /// Stop it if it is running, and start it.
    Restart,
}
