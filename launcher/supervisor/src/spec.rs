//! The plan of the supervisor, independent of any configuration.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kit::Secret;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::console_spec::ConsoleSpec;
use super::limits::Limits;
use super::schedule::Schedule;

use super::stop::StopSpec;

/// Everything the supervisor needs to know.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Identifies this run of the launcher; part of the mark of its processes.
    pub run_id: Uuid,
    /// The components. Names are unique, and there are no cycles of dependencies.
    pub components: Vec<ComponentSpec>,
    /// External dependencies.
    pub dependencies: Vec<External>,
    /// The data directory; locks and sockets are in its `run/`.
    pub data: PathBuf,
    /// The directory of the components' logs.
    pub logs: PathBuf,
    /// The format and limits of the logs.
    pub log_policy: LogPolicy,
    /// Secrets that must not appear in logs.
    pub secrets: Vec<Secret>,
    /// The settings, each with a text that is equal for equal values, for comparing plans.
    pub settings: BTreeMap<String, String>,
    /// The keys of settings whose change moves the running system elsewhere and requires the operator's confirmation.
    pub consent: Vec<String>,
    /// What concerns the launcher itself.
    pub launcher: LauncherSpec,
    /// Names by which the operator means several components.
    pub groups: BTreeMap<String, Vec<String>>,
    /// A program that, run with `guard` and a run's id, ends every process of that run as soon as its standard input ends: our
    /// own executable. It outlives us for that. None in tests that have no such program.
    pub guard: Option<PathBuf>,
}

/// What the launcher does for itself. The supervisor passes it to [`super::Hooks::in_force`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LauncherSpec {
    /// Address of its own metrics.
    pub metrics: Option<SocketAddr>,
    /// The console, if there is one.
    pub console: Option<ConsoleSpec>,
    /// Whether to watch the configuration.
    pub watch: bool,
    /// Who is notified of the components' events.
    pub alerts: AlertSpec,
}

/// Who is notified of the components' events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertSpec {
    /// A program that is run with each event, and its arguments; empty if there is none.
    pub program: Vec<String>,
    /// A URL that each event is posted to; it may hold a secret.
    pub webhook: Option<Secret>,
    /// The bearer token that goes with it.
    pub token: Option<Secret>,
}

/// A component: a process that is started, watched, restarted and stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentSpec {
    /// Its name: small letters, digits and `-`, a replica with `.` and its number, at most 40 characters; also the name of its log file.
    pub name: String,
    /// The meaning of its end.
    pub kind: ComponentKind,
    /// The pid file of a component that forks.
    pub pid_file: Option<PathBuf>,
    /// How to start it, or why not to.
    pub launch: Launch,
    /// Whether it runs as another user, who must reach its notification socket.
    pub is_of_other_user: bool,
    /// How it becomes ready.
    pub readiness: Readiness,
    /// The sockets that are opened for it and inherited by its processes.
    pub listen: Vec<Listen>,
    /// Its address, for people.
    pub address: Option<String>,
    /// When it runs by the clock; a one-shot.
    pub schedule: Option<ScheduleSpec>,
    /// Components and dependencies that must be ready before it is started.
    pub needs: Vec<String>,
    /// When it is restarted after it ended by itself.
    pub restart: RestartPolicy,
    /// Patterns of files whose change restarts it; relative ones from its working directory on.
    pub watch: Vec<String>,
    /// Whether the whole is unhealthy while this one is.
    pub required: bool,
    /// What happens to its dependents when it crashed or is restarted.
    pub dependents: Dependents,
    /// The watchdog interval once it is ready (`WATCHDOG=1`); a timeout ends it and counts as a crash.
    pub watchdog: Option<Duration>,
    /// The liveness probe.
    pub liveness: Option<ProbeSpec>,
    /// Time limit to become ready; a timeout ends it and counts as a crash.
    pub ready_timeout: Duration,
    /// Time limit to end after its signal, before it is killed. Its stop command has the same time before the signal.
    pub stop_grace: Duration,
    /// How it is asked to end.
    pub stop: StopSpec,
    /// Whether it starts with the launcher or with a new plan, and not only by request of the operator.
    pub autostart: bool,
    /// The resource limits.
    pub limits: Limits,
    /// Whether its processes get a control group, where one can be made. What starts no processes needs none, and starts a few milliseconds
    /// sooner.
    pub control_group: bool,
    /// Which of its ends stop everything.
    pub ends_all: EndsAll,
    /// The digest of its configuration: a reload restarts it if this differs. Other differences apply at once or, as in `launch`, from its
    /// next start on.
    pub config_digest: String,
}

/// Which ends of a component stop everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EndsAll {
    /// None: the others continue.
    #[default]
    Never,
    /// The end after which it has failed.
    GivenUp,
    /// Any end that was not requested and after which it is not restarted.
    Ended,
}

impl ComponentSpec {
    /// A service that needs nothing, with the defaults of everything else; ready as soon as it is started.
    #[must_use]
    pub fn new(name: impl Into<String>, launch: Launch) -> Self {
        Self {
            name: name.into(),
            kind: ComponentKind::Service,
            pid_file: None,
            launch,
            is_of_other_user: false,
            readiness: Readiness::Spawned,
            listen: Vec::new(),
            address: None,
            schedule: None,
            needs: Vec::new(),
            restart: RestartPolicy::default(),
            watch: Vec::new(),
            required: true,
            dependents: Dependents::Keep,
            watchdog: None,
            liveness: None,
            ready_timeout: Duration::from_secs(30),
            stop_grace: Duration::from_secs(5),
            stop: StopSpec::default(),
            autostart: true,
            limits: Limits::default(),
            control_group: true,
            ends_all: EndsAll::Never,
            config_digest: String::new(),
        }
    }

    /// The total time limit to end.
    pub(super) fn stop_timeout(&self) -> Duration {
        let phases = if self.stop.command.is_empty() { 1 } else { 2 };
        self.stop_grace.saturating_mul(phases)
    }
}

/// The meaning of a component's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentKind {
    /// It serves until it is asked to end. Dependents need it ready.
    #[default]
    Service,
    /// It completes its work and exits with code 0. Dependents need it finished.
    Oneshot,
    /// It starts a service process, names it in `pid_file`, and exits with code 0. From then on that process is its main one.
    Forking,
}

/// When a component runs by the clock.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleSpec {
    /// The times.
    pub schedule: Schedule,
    /// What follows when the next run is due before one is over.
    pub overlap: Overlap,
}

/// What follows when a run is due before the one before is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// It is left out, and counted.
    #[default]
    Skip,
    /// It follows as soon as that is over. One waits at most; further ones are left out, and counted.
    Queue,
}

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Its name, without a colon; the key of the setting.
    pub name: String,
    /// Its address; port 0 is not opened here.
    pub address: SocketAddr,
}

/// How a component is started.
#[derive(Clone, PartialEq)]
pub enum Launch {
    /// As a process. Its environment is ours with `env` added.
    Command {
        /// The executable.
        program: PathBuf,
        /// Its arguments, without its own name.
        args: Vec<OsString>,
        /// Additional environment variables.
        env: Vec<(OsString, OsString)>,
        /// Variables of ours that it does not receive, such as other components' secrets.
        env_remove: Vec<OsString>,
        /// Its working directory, if different from ours.
        cwd: Option<PathBuf>,
    },
    /// Not at all.
    Skip {
        /// The reason, for the operator.
        reason: String,
    },
}

impl fmt::Debug for Launch {
    /// Without the environment, which contains secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { program, args, .. } => f
                .debug_struct("Command")
                .field("program", program)
                .field("args", args)
                .finish_non_exhaustive(),
            Self::Skip { reason } => f.debug_struct("Skip").field("reason", reason).finish(),
        }
    }
}

/// How a component becomes ready.
#[derive(Debug, Clone, PartialEq)]
pub enum Readiness {
    /// It reports readiness: `READY=1` to `$NOTIFY_SOCKET`, as in `sd_notify(3)`.
    Notify,
    /// It is ready as soon as it is started; for commands that cannot report readiness.
    Spawned,
    /// It is ready as soon as its actual program is executed; for commands that cannot report readiness and that are started through a
    /// program of ours. Like `Spawned` where the running program cannot be determined.
    Executed,
    /// It is probed. While the probe fails its dependents are not started; it is not restarted for that.
    Probe(ProbeSpec),
}

/// What happens to the dependents of a component that crashed or is restarted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dependents {
    /// Nothing: they reconnect by themselves.
    #[default]
    Keep,
    /// They are restarted, too, once it is ready again.
    Restart,
}

/// A probe of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSpec {
    /// The kind of probe.
    pub ask: ProbeMethod,
    /// The interval, from the end of one probe to the begin of the next.
    pub period: Duration,
    /// Time limit of one probe.
    pub timeout: Duration,
    /// Consecutive successes for a good verdict; at least 1.
    pub successes: u32,
    /// Consecutive failures for a bad verdict; at least 1.
    pub failures: u32,
    /// Failures this soon after the start of the process are ignored, unless a success came first.
    pub start_period: Duration,
}

/// The kind of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeMethod {
    /// `GET`, HTTP/1.1 without TLS; succeeds with a status from 200 to 399.
    Http {
        /// Host and port to connect to.
        authority: String,
        /// The path, beginning with `/`.
        path: String,
    },
    /// Succeeds if the connection is accepted.
    Tcp(String),
    /// Runs a program in the component's environment; succeeds with exit code 0. It and its group are killed at the timeout.
    Exec(Vec<OsString>),
    /// Waits for a line of the component's log with this text; succeeds from then on.
    Log(String),
    /// Calls a function in our own process once the component is ready.
    Call(Call),
}

/// The result of a probe: success, possibly with a remark, or the error as text.
pub type ProbeResult = Result<Option<String>, String>;

/// A probe in progress.
pub type PendingProbe = Pin<Box<dyn Future<Output = ProbeResult> + Send>>;

/// A probe by a function of our own process, which knows the component; the supervisor only calls it.
#[derive(Clone)]
pub struct Call {
    /// Equal for equal calls.
    pub name: String,
    /// Probes within the given time limit.
    pub ask: Arc<dyn Fn(Duration) -> PendingProbe + Send + Sync>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Call {}

/// After which ends a component is restarted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartWhen {
    /// After every end that was not requested.
    #[default]
    Always,
    /// After failures: every end but exit code 0.
    OnFailure,
    /// Never.
    Never,
}

/// When a component that ended by itself is restarted.
#[derive(Debug, Clone, PartialEq)]
pub struct RestartPolicy {
    /// After which ends.
    pub when: RestartWhen,
    /// The first backoff. The first crash of an incarnation that was ready, and lived for at least this long, is followed by a restart
    /// without one.
    pub base: Duration,
    /// The factor by which the backoff grows.
    pub factor: f64,
    /// The maximum backoff.
    pub cap: Duration,
    /// The fraction by which a backoff is varied in both directions, so that components do not restart in step.
    pub jitter: f64,
    /// After being *ready* for this long, earlier crashes are forgotten.
    pub reset_after: Duration,
    /// The number of restarts within `window`; the next crash is final.
    pub intensity: u32,
    /// The window of `intensity`.
    pub window: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            when: RestartWhen::Always,
            base: Duration::from_millis(200),
            factor: 2.0,
            cap: Duration::from_secs(30),
            jitter: 0.2,
            reset_after: Duration::from_secs(60),
            intensity: 5,
            window: Duration::from_secs(60),
        }
    }
}

/// The result of a check: success, or an error in words that fit after the dependency's name, such as `refuses connections`.
pub type Probe = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// An external dependency. It is part of the start order: nothing that needs it is started while it is unavailable.
#[derive(Clone)]
pub struct External {
    /// Its name, such as `mongodb`; distinct from the components' names.
    pub name: String,
    /// Checks it. Called periodically; a result later than [`External::DEADLINE`] is ignored.
    pub check: Arc<dyn Fn() -> Probe + Send + Sync>,
}

impl External {
    /// The interval of checks.
    pub const PERIOD: Duration = Duration::from_secs(5);
    /// Time limit of a check.
    pub const DEADLINE: Duration = Duration::from_secs(4);
}

impl fmt::Debug for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("External").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The format of the lines in the logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// As the component wrote them, byte for byte.
    #[default]
    Raw,
    /// Each preceded by the time at which it arrived.
    Text,
    /// Each as a JSON object with its time and component.
    Json,
}

/// The format and limits of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPolicy {
    /// The format of the lines.
    pub format: LogFormat,
    /// Whether standard error has its own pipe and marked lines. The order of lines of the two pipes is that in which they were read.
    pub split_stderr: bool,
    /// The size in bytes at which a log file is rotated.
    pub max_bytes: u64,
    /// The number of rotated files kept per component.
    pub max_files: usize,
    /// The maximum total size of all log files in bytes; the oldest rotated ones are deleted first.
    pub max_total: u64,
}

impl Default for LogPolicy {
    fn default() -> Self {
        Self {
            format: LogFormat::Raw,
            split_stderr: false,
            max_bytes: 10 << 20,
            max_files: 5,
            max_total: 200 << 20,
        }
    }
}
