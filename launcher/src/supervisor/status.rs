//! How everything is, as `launcher status` shows it and scripts read it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a component's processes take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// How many processes it is.
    pub processes: u32,
    /// How much of one processor they use, in percent: since the last look, or at the first since the start.
    pub cpu_percent: f64,
    /// Their time on processors until now, in seconds.
    pub cpu_s: f64,
    /// Their memory in bytes: the proportional set size, or where that cannot be read the resident set size.
    pub memory_bytes: u64,
}

/// How everything is at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// This run of the launcher.
    pub run_id: Uuid,
    /// The launcher's process id.
    pub launcher_pid: u32,
    /// When it started, RFC 3339.
    pub started_at: String,
    /// True once a stop of everything is under way.
    pub stopping: bool,
    /// The directory of the logs.
    #[serde(default, with = "super::path")]
    pub logs: PathBuf,
    /// Every component, in start order.
    pub components: Vec<ComponentStatus>,
    /// Every dependency that we do not run.
    pub dependencies: Vec<DependencyStatus>,
    /// Names that stand for several components, and for which.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<String>>,
    /// Who is being stopped.
    #[serde(default)]
    pub awaited: Vec<Awaited>,
    /// What the launcher itself takes, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
}

impl Snapshot {
    /// Whether every required component that is to run is ready or finished and every dependency answers.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.components.iter().all(ComponentStatus::is_fine)
            && self.dependencies.iter().all(|dependency| dependency.state == DependencyState::Ok)
    }

    /// The component of a name.
    #[must_use]
    pub fn component(&self, name: &str) -> Option<&ComponentStatus> {
        self.components.iter().find(|component| component.name == name)
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

/// How one component is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentStatus {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// Its process id, while it has a process.
    pub pid: Option<u32>,
    /// Where it can be reached.
    pub address: Option<String>,
    /// How often it was started again after it ended on its own.
    pub restarts: u32,
    /// How long its present or last process took to be ready, in milliseconds.
    pub ready_ms: Option<u64>,
    /// How long its present process has been ready, in seconds.
    pub uptime_s: Option<u64>,
    /// How its last process that ended on its own did so, with the last line it logged.
    pub last_error: Option<String>,
    /// Why it is in a state other than ready: what it waits for, when it is started again, why it was skipped or given up.
    pub reason: Option<String>,
    /// The components and dependencies that it waits for.
    #[serde(default)]
    pub waits_for: Vec<String>,
    /// In how many milliseconds it is started again.
    #[serde(default)]
    pub next_try_ms: Option<u64>,
    /// What it says of itself, in one line.
    pub status_text: Option<String>,
    /// What its log lacks.
    pub log: Dropped,
    /// Whether the whole is unhealthy while this one is.
    #[serde(default = "yes")]
    pub required: bool,
    /// Whether it is started with the launcher; one that is not is well without being started.
    #[serde(default = "yes")]
    pub autostart: bool,
    /// By what its present process is limited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitStatus>,
    /// How many times in a row it has ended by itself in the same way: same status, same last lines but for numbers.
    #[serde(default)]
    pub same_crashes: u32,
    /// What its processes take, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// How it answered its liveness probe last, where it has one and was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<LivenessStatus>,
    /// When it runs by the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleStatus>,
}

/// When a component runs by the clock. Times are RFC 3339, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleStatus {
    /// The schedule as it is configured.
    pub expression: String,
    /// Its time zone, where it is not the machine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// When it runs next; not while it is stopped.
    pub next_run: Option<String>,
    /// Its last run, or the present one, since the launcher was started.
    pub last_run: Option<RunStatus>,
    /// Whether one more run follows the present one.
    pub queued: bool,
    /// How many runs were left out because the one before was not over, since the launcher was started.
    pub skipped: u32,
}

/// A run by the clock, or by the operator's wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStatus {
    /// When it began.
    pub started_at: String,
    /// When it was over.
    pub ended_at: Option<String>,
    /// What became of it, in words that fit after the component's name.
    pub result: Option<String>,
}

/// One of a component's limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitStatus {
    /// Of what.
    pub what: String,
    /// How much.
    pub limit: String,
    /// By what it is in force.
    pub by: LimitedBy,
    /// Why it is not in force by a control group, where that could be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// By what a limit is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitedBy {
    /// The control group, for all processes together.
    ControlGroup,
    /// A resource limit of each process.
    Process,
    /// Nothing: it is not in force.
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

/// How a component answered its liveness probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LivenessStatus {
    /// What there is to say of it though it is live, such as that the store refuses messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// Why the last answer is a failure, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How long ago it was, in seconds.
    pub age_s: u64,
    /// How many failures there were in a row.
    pub failures_in_a_row: u32,
    /// How many there were since the launcher was started.
    pub failures: u64,
}

impl ComponentStatus {
    /// Whether the whole may be healthy with this one as it is.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// The component.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// The seconds until it is killed, or given up after that, rounded up.
    pub seconds_left: u64,
    /// Whether it was killed already.
    #[serde(default)]
    pub killed: bool,
    /// How many other processes there are in its group, or below it.
    pub grandchildren: usize,
}

/// What a log lacks: what could not be written to it, and what others took from it by deleting or cutting its file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Lines.
    pub dropped_lines: u64,
    /// Bytes, of those lines.
    pub dropped_bytes: u64,
}

/// The states of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Something that it needs is not ready.
    Waiting,
    /// It has a process that does not serve yet.
    Starting,
    /// It serves.
    Ready,
    /// It has served and lives, but does not serve now: its readiness probe says so.
    Unready,
    /// Its process is told to end.
    Stopping,
    /// It ended on its own and is started again after a wait.
    Backoff,
    /// It has a process that does something and will be done.
    Running,
    /// It runs by the clock, and its time has not come yet.
    Scheduled,
    /// It has done what it is for.
    Finished,
    /// It was stopped by the operator or is no longer wanted.
    Stopped,
    /// It is given up until the operator starts it.
    Failed,
    /// It is not part of this run.
    Skipped,
}

impl fmt::Display for State {
    /// The word that the JSON form has, too.
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

/// How a dependency that we do not run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DependencyStatus {
    /// Its name.
    pub name: String,
    /// Whether it answers.
    pub state: DependencyState,
    /// Since when, RFC 3339.
    pub since: String,
    /// What is wrong with it, in words that fit after its name.
    pub reason: Option<String>,
}

/// Whether a dependency answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DependencyState {
    /// Not asked yet.
    Unknown,
    /// It answers as it should.
    Ok,
    /// It does not.
    Degraded,
}
