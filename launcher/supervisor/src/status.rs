//! The state of everything, for `launcher status` and scripts.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The resource usage of a component's processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// The number of processes.
    pub processes: u32,
    /// CPU usage in percent of one processor: since the last measurement, or at the first since the start.
    pub cpu_percent: f64,
    /// CPU time so far, in seconds.
    pub cpu_s: f64,
    /// Memory in bytes: the proportional set size, or the resident set size if that cannot be read.
    pub memory_bytes: u64,
}

/// The state of everything at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// Identifies this run of the launcher.
    pub run_id: Uuid,
    /// The launcher's process id.
    pub launcher_pid: u32,
    /// When it started, RFC 3339.
    pub started_at: String,
    /// Whether everything is being stopped.
    pub stopping: bool,
    /// The directory of the logs.
    #[serde(default, with = "super::path")]
    #[schemars(with = "String")]
    pub logs: PathBuf,
    /// The components in start order.
    pub components: Vec<ComponentStatus>,
    /// The external dependencies.
    pub dependencies: Vec<DependencyStatus>,
    /// Names that stand for several components, and for which.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<String>>,
    /// Who is being stopped.
    #[serde(default)]
    pub awaited: Vec<Awaited>,
    /// Address of its console, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<String>,
    /// The launcher's own resource usage, if measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
}

impl Snapshot {
    /// Whether every required component of this run is ready or finished and every dependency is available.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.components.iter().all(ComponentStatus::is_fine)
            && self.dependencies.iter().all(|dependency| dependency.state == DependencyState::Ok)
    }

    /// The component with this name.
    #[must_use]
    pub fn component(&self, name: &str) -> Option<&ComponentStatus> {
        self.components.iter().find(|component| component.name == name)
    }

    /// The socket address of a component that is part of this run, if it has one.
    #[must_use]
    pub fn address_of(&self, name: &str) -> Option<SocketAddr> {
        let component = self.component(name).filter(|component| component.state != State::Skipped)?;
        let address = component.address.as_deref()?;
        address.strip_prefix("http://").unwrap_or(address).parse().ok()
    }

    /// The components that a name stands for: one of its own, or those of a group or the replicas of a program. None where there is nothing of
    /// that name.
    #[must_use]
    pub fn members(&self, name: &str) -> Vec<&ComponentStatus> {
        match (self.component(name), self.groups.get(name)) {
            (Some(component), _) => vec![component],
            (None, Some(members)) => members.iter().filter_map(|member| self.component(member)).collect(),
            (None, None) => Vec::new(),
        }
    }
}

/// The state of one component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentStatus {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// Its process id, while it has a process.
    pub pid: Option<u32>,
    /// Where it can be reached.
    pub address: Option<String>,
    /// The number of restarts after it ended by itself.
    pub restarts: u32,
    /// How long its present or last process took to become ready, in milliseconds.
    pub ready_ms: Option<u64>,
    /// How long its present process has been ready, in seconds.
    pub uptime_s: Option<u64>,
    /// How its last process that ended by itself did so, with the last line it logged.
    pub last_error: Option<String>,
    /// The reason of a state other than ready: what it waits for, when it is restarted, why it was skipped or has failed.
    pub reason: Option<String>,
    /// The components and dependencies that it needs.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The components and dependencies that it waits for.
    #[serde(default)]
    pub waits_for: Vec<String>,
    /// The milliseconds until it is restarted.
    #[serde(default)]
    pub next_try_ms: Option<u64>,
    /// Its own status, in one line.
    pub status_text: Option<String>,
    /// What is missing in its log.
    pub log: Dropped,
    /// Whether the overall state is unhealthy while this one is.
    #[serde(default = "yes")]
    pub required: bool,
    /// Whether it starts with the launcher; one that does not is healthy without being started.
    #[serde(default = "yes")]
    pub autostart: bool,
    /// How the limits of its present process are enforced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitStatus>,
    /// The number of consecutive crashes with the same status and the same last lines except for numbers.
    #[serde(default)]
    pub same_crashes: u32,
    /// Its resource usage, if measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// The last result of its liveness probe, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<LivenessStatus>,
    /// When it runs by the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleStatus>,
}

/// When a component runs by the clock. Times are RFC 3339, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleStatus {
    /// The schedule as it is configured.
    pub expression: String,
    /// Its time zone, where it is not the machine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// When it runs next; not while it is stopped.
    pub next_run: Option<String>,
    /// Its last run, or the present one, also before the launcher was started.
    pub last_run: Option<RunStatus>,
    /// Whether one more run follows the present one.
    pub queued: bool,
    /// How many runs were left out because the one before was not over, since the launcher was started.
    pub skipped: u32,
}

/// A run by the clock, or by the operator's wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunStatus {
    /// When it began.
    pub started_at: String,
    /// When it was over; at the latest, if the launcher ended before.
    pub ended_at: Option<String>,
    /// What became of it, in words that fit after the component's name.
    pub result: Option<String>,
}

/// One of a component's limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitStatus {
    /// Of what.
    pub what: String,
    /// How much.
    pub limit: String,
    /// How it is enforced.
    pub by: LimitedBy,
    /// Why it is not enforced by a control group, where that would be possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// How a limit is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LimitedBy {
    /// By the control group, for all processes together.
    ControlGroup,
    /// By a resource limit of each process.
    Process,
    /// Not enforced.
    Nothing,
}

impl fmt::Display for LimitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, limit, by, remark } = self;
        let by = match by {
            LimitedBy::ControlGroup => "by control group",
            LimitedBy::Process => "for each process",
            LimitedBy::Nothing => "not in force",
        };
        write!(f, "{what} {limit} {by}")?;
        remark.as_ref().map_or(Ok(()), |remark| write!(f, " (no control group: {remark})"))
    }
}

/// The results of a component's liveness probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LivenessStatus {
    /// A remark on a successful result, such as that the store rejects messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// Why the last probe failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The duration of the last probe in milliseconds.
    pub took_ms: u64,
    /// The age of the last result in seconds.
    pub age_s: u64,
    /// The number of consecutive failures.
    pub failures_in_a_row: u32,
    /// The number of failures since the launcher was started.
    pub failures: u64,
}

impl ComponentStatus {
    /// Whether `all` means it where things are started: what waits for its time on the clock is run only by its own name.
    #[must_use]
    pub fn is_started_with_all(&self) -> bool {
        let waits = matches!(self.state, State::Scheduled | State::Finished | State::Failed);
        self.state != State::Skipped && !(self.schedule.is_some() && waits)
    }

    /// Whether the overall state can be healthy with this one.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        let is_at_rest = self.state == State::Stopped && !self.autostart;
        let is_fine =
            matches!(self.state, State::Ready | State::Scheduled | State::Finished | State::Skipped);
        !self.required || is_at_rest || is_fine || self.state == State::Running && self.schedule.is_some()
    }
}

fn yes() -> bool {
    true
}

/// A process that a stop waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Awaited {
    /// Name of the component.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// The seconds until it is killed, or given up after that, rounded up.
    pub seconds_left: u64,
    /// Whether it was killed already.
    #[serde(default)]
    pub killed: bool,
    /// The number of other processes in its group, or descended from it.
    pub grandchildren: usize,
}

/// What is missing in a log: lines that could not be written, and those that others removed by deleting or truncating its file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dropped {
    /// Lines.
    pub dropped_lines: u64,
    /// The size of those lines in bytes.
    pub dropped_bytes: u64,
}

/// The states of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A dependency is not ready.
    Waiting,
    /// Its process is not ready yet.
    Starting,
    /// It is ready.
    Ready,
    /// It was ready and is running, but its readiness probe fails.
    Unready,
    /// Its process was asked to end.
    Stopping,
    /// It ended by itself and is restarted after a backoff.
    Backoff,
    /// Its process, a one-shot, is working.
    Running,
    /// It runs by the clock, and its time has not come yet.
    Scheduled,
    /// It has done what it is for.
    Finished,
    /// It was stopped by the operator or is no longer wanted.
    Stopped,
    /// It is not restarted until the operator starts it.
    Failed,
    /// It is not part of this run.
    Skipped,
}

impl fmt::Display for State {
    /// The same word as in JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unready => "unready",
            Self::Stopping => "stopping",
            Self::Backoff => "backoff",
            Self::Running => "running",
            Self::Scheduled => "scheduled",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        })
    }
}

/// The state of an external dependency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DependencyStatus {
    /// Its name.
    pub name: String,
    /// Whether it is available.
    pub state: DependencyState,
    /// The time of the last change, RFC 3339.
    pub since: String,
    /// The error, in words that fit after its name.
    pub reason: Option<String>,
}

/// Whether a dependency is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DependencyState {
    /// Not checked yet.
    Unknown,
    /// It is available.
    Ok,
    /// It is not available.
    Degraded,
}
