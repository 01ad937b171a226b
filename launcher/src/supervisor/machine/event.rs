//! What the machine is told, and what it answers.

use std::time::{Duration, Instant};

use crate::supervisor::exit::ProcessExit;
use crate::supervisor::graph::Graph;
use crate::supervisor::oom::Oom;
use crate::supervisor::spec::ComponentSpec;
use crate::supervisor::status::State;

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The first event.
    Begin,
    /// An incarnation has its process.
    Spawned { name: String, epoch: u64, pid: u32 },
    /// An incarnation could not be started.
    SpawnFailed { name: String, epoch: u64, error: String },
    /// It says that it serves, or its readiness probe does.
    Ready { name: String, epoch: u64 },
    /// Its readiness probe says that it does not serve.
    Unready { name: String, epoch: u64, reason: String },
    /// Its liveness probe, or itself, says that it must be started anew.
    Unhealthy { name: String, epoch: u64, reason: String },
    /// It gives a sign of life.
    Alive { name: String, epoch: u64 },
    /// It needs more time, for what it is about.
    Extend { name: String, epoch: u64, by: Duration },
    /// It says that it is ending.
    Leaving { name: String, epoch: u64 },
    /// It says what it does.
    Said { name: String, epoch: u64, text: String },
    /// Its main process has ended, and others of it live.
    MainExited { name: String, epoch: u64, exit: ProcessExit },
    /// These of its processes do not end though they were killed, in words for the operator.
    Unkillable { name: String, epoch: u64, who: String },
    /// Its main process has ended and is reaped, and nothing else of it lives.
    Exited { name: String, epoch: u64, exit: ProcessExit, oom: Oom },
    /// What it wrote last has been read: the last line, and what is equal for equal crashes.
    LastWords { name: String, epoch: u64, line: Option<String>, print: Option<u64> },
    /// An alarm rings.
    Alarm { name: String, token: u64 },
    /// The time of its schedule has come.
    Due { name: String },
    /// A file of it has changed.
    Touched { name: String, why: String },
    /// The operator wants something of a component that [`Machine::refusal`] does not refuse.
    Operator { name: String, verb: Verb },
    /// Nobody was heard for a while, because we ourselves stood still.
    Standstill,
    /// A dependency answers, or does not.
    Dependency { name: String, ok: bool },
    /// A new plan.
    Replace { components: Vec<ComponentSpec>, dependencies: Vec<String>, graph: Graph },
    /// All is to end.
    Quit,
    /// All is to end now.
    Kill,
}

/// What to do. Of several, in this order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Start a process; answered by [`Event::Spawned`] or [`Event::SpawnFailed`].
    Spawn { name: String, epoch: u64 },
    /// TERM, then CONT, to all of it.
    Terminate { name: String, epoch: u64 },
    /// KILL to all of it.
    Kill { name: String, epoch: u64 },
    /// Forget a process that does not die.
    Abandon { name: String, epoch: u64, who: Option<String> },
    /// Ring at this time; replaces the component's earlier alarm.
    Alarm { name: String, token: u64, at: Instant },
    /// It has another state now.
    Changed { name: String, epoch: u64, from: State, to: State, why: String },
    /// It is in no plan any more.
    Forget { name: String },
    /// The end of this one, in these words, is the end of all.
    StopAll { name: String, exit: Option<ProcessExit>, why: String },
    /// All has ended; the last action there is.
    Finish,
}

/// What the operator may want of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Run it, and forget its crashes.
    Start,
    /// Do not run it.
    Stop,
    /// Stop it if it runs, and run it.
    Restart,
}
