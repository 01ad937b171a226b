//! What is to be run: the plan that the supervisor is given. It says nothing of how a plan is made from a configuration.

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

use super::limits::Limits;
use super::schedule::Schedule;

use super::stop::StopSpec;

/// Everything the supervisor needs to know.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Names this run of the launcher; part of the mark by which its processes are known.
    pub run_id: Uuid,
    /// What to run. Names are unique, and nothing needs itself, directly or through others.
    pub components: Vec<ComponentSpec>,
    /// What the components need and we do not run.
    pub dependencies: Vec<External>,
    /// The data directory; locks and sockets live in its `run/`.
    pub data: PathBuf,
    /// Where the components' logs are written.
    pub logs: PathBuf,
    /// How logs are written, and how much of them is kept.
    pub log_policy: LogPolicy,
    /// What no log may show.
    pub secrets: Vec<Secret>,
    /// What was set, each with a text that is equal for equal values: two plans are compared by it, for people.
    pub settings: BTreeMap<String, String>,
    /// The settings among them whose change moves the running system elsewhere: they need the operator's consent.
    pub consent: Vec<String>,
    /// What of it concerns the launcher itself.
    pub launcher: LauncherSpec,
    /// Names by which the operator means several components.
    pub groups: BTreeMap<String, Vec<String>>,
    /// A program that, run with `guard` and a run's id, ends every process of that run as soon as its standard input ends: our
    /// own executable. It outlives us for that. None in tests that have no such program.
    pub guard: Option<PathBuf>,
}

/// What the launcher does for itself. The supervisor hands it on: [`super::Hooks::in_force`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LauncherSpec {
    /// Where its own numbers are served.
    pub metrics: Option<SocketAddr>,
    /// Whether its configuration is watched.
    pub watch: bool,
    /// Who is told what happens to the components.
    pub alerts: AlertSpec,
}

/// Who is told what happens to the components.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertSpec {
    /// A program that is run with each event, and its arguments; nothing where it is empty.
    pub program: Vec<String>,
    /// A URL that each event is posted to; it may hold a secret.
    pub webhook: Option<Secret>,
    /// The bearer token that goes with it.
    pub token: Option<Secret>,
}

/// One component: a process that is started, watched, restarted and stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentSpec {
    /// Its name: small letters, digits and `-`, a replica with `.` and its number, at most 40 characters; also the name of its log file.
    pub name: String,
    /// What its end means.
    pub kind: ComponentKind,
    /// The file that names the process of one that forks.
    pub pid_file: Option<PathBuf>,
    /// How it is started, or why it is not.
    pub launch: Launch,
    /// How one knows that it serves.
    pub readiness: Readiness,
    /// The sockets that are opened for it and that its processes inherit.
    pub listen: Vec<Listen>,
    /// Where it can be reached, for people to read.
    pub address: Option<String>,
    /// When it runs by the clock; a one-shot.
    pub schedule: Option<ScheduleSpec>,
    /// Components and dependencies that must be ready before it is started.
    pub needs: Vec<String>,
    /// What happens after it ends on its own.
    pub restart: RestartPolicy,
    /// Patterns of files whose change restarts it; relative ones from its working directory on.
    pub watch: Vec<String>,
    /// Whether the whole is unhealthy while this one is.
    pub required: bool,
    /// What happens to those that need it when it has ended on its own or is restarted.
    pub dependents: Dependents,
    /// How long it may give no sign of life (`WATCHDOG=1`) once it is ready; after that it is ended, which counts as a crash.
    pub watchdog: Option<Duration>,
    /// Asked whether it must be started anew.
    pub liveness: Option<ProbeSpec>,
    /// How long it may take to be ready; after that it is ended and the start counts as a crash.
    pub ready_timeout: Duration,
    /// How long it may take to end after its signal; after that it is killed. Its stop command has as long before the signal.
    pub stop_grace: Duration,
    /// How it is asked to end.
    pub stop: StopSpec,
    /// Whether it is started by itself, at the start or when a new plan brings it, and not only by the operator.
    pub autostart: bool,
    /// How much of the machine it may take.
    pub limits: Limits,
    /// Which end of it is the end of all.
    pub ends_all: EndsAll,
    /// Stands for its configuration: a reload restarts it when this differs. What differs beside it holds at once, or, as in
    /// `launch`, from its next start on.
    pub config_digest: String,
}

/// Which end of a component is the end of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EndsAll {
    /// None: the others go on.
    #[default]
    Never,
    /// The one after which it is given up.
    GivenUp,
    /// Any that nobody asked for and after which it is not started again.
    Ended,
}

impl ComponentSpec {
    /// How long it may take to end in all.
    pub(super) fn stop_patience(&self) -> Duration {
        let phases = if self.stop.command.is_empty() { 1 } else { 2 };
        self.stop_grace.saturating_mul(phases)
    }
}

/// What the end of a component means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentKind {
    /// It serves until it is told to end. Who needs it needs it ready.
    #[default]
    Service,
    /// It does something and is done: it ends with code 0. Who needs it needs it finished.
    Oneshot,
    /// It starts a process that serves, names it in `pid_file`, and ends with code 0. From then on that process is its main one.
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
    /// Its address.
    pub address: SocketAddr,
}

/// How a component is started.
#[derive(Clone, PartialEq)]
pub enum Launch {
    /// As a process. Its environment is ours with `env` on top.
    Command {
        /// The executable.
        program: PathBuf,
        /// Its arguments, without its own name.
        args: Vec<OsString>,
        /// Variables set for it.
        env: Vec<(OsString, OsString)>,
        /// Variables of ours that it does not get, such as other components' secrets.
        env_remove: Vec<OsString>,
        /// Its working directory, where it is not ours.
        cwd: Option<PathBuf>,
    },
    /// Not at all.
    Skip {
        /// Why, in words for the operator.
        reason: String,
    },
}

impl fmt::Debug for Launch {
    /// Without the environment, which holds secrets.
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

/// How one knows that a component serves.
#[derive(Debug, Clone, PartialEq)]
pub enum Readiness {
    /// It says so: `READY=1` to `$NOTIFY_SOCKET`, as `sd_notify(3)`.
    Notify,
    /// It is taken to serve as soon as it is started; for commands that cannot say.
    Spawned,
    /// It is taken to serve as soon as the program that it is for runs; for commands that cannot say and that a program of ours becomes,
    /// as the operator's do. As `Spawned` where nothing tells what a process runs.
    Executed,
    /// It is asked, again and again. While it does not serve, nothing that needs it is started; it is not restarted for that.
    Probe(ProbeSpec),
}

/// What happens to those that need a component when that has ended on its own or is restarted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dependents {
    /// Nothing: they find it again by themselves.
    #[default]
    Keep,
    /// They are restarted, too, once it is ready again.
    Restart,
}

/// How a component is asked how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSpec {
    /// What is done.
    pub ask: Ask,
    /// The time between two questions, from the end of one to the begin of the next.
    pub period: Duration,
    /// How long one answer may take.
    pub timeout: Duration,
    /// After so many good answers in a row it is taken to be well; at least 1.
    pub successes: u32,
    /// After so many bad ones in a row it is taken not to be; at least 1.
    pub failures: u32,
    /// So long after the start of the process bad answers do not count, unless a good one came first.
    pub start_period: Duration,
}

/// What a probe does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// `GET`, HTTP/1.1 without TLS: well when the status is from 200 to 399.
    Http {
        /// Host and port, to connect to.
        authority: String,
        /// What is asked for, from `/` on.
        path: String,
    },
    /// Connects: well when somebody accepts.
    Tcp(String),
    /// Runs a program in the component's environment: well when it exits with 0. It and its group are killed at the timeout.
    Exec(Vec<OsString>),
    /// Waits for a line of the component's log with this text in it; well from then on.
    Log(String),
    /// Asks in our own process, from the moment on at which the component serves: what asks a starting one asks nobody.
    Call(Call),
}

/// What a question comes to: the component is well, perhaps with a remark, or what is wrong with it, in words.
pub type Answered = Result<Option<String>, String>;

/// A question on its way.
pub type Asking = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// A question that our own process asks. What is to be known of a component stands in it; the supervisor only asks.
#[derive(Clone)]
pub struct Call {
    /// Equal for calls that ask the same.
    pub name: String,
    /// Asks, and answers within the time given.
    pub ask: Arc<dyn Fn(Duration) -> Asking + Send + Sync>,
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

/// After which ends a component is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartWhen {
    /// After every end that nobody asked for.
    #[default]
    Always,
    /// After those that are failures: any but exit code 0.
    OnFailure,
    /// After none.
    Never,
}

/// When a component that ended on its own is started again.
#[derive(Debug, Clone, PartialEq)]
pub struct RestartPolicy {
    /// After which ends.
    pub when: RestartWhen,
    /// The wait before the first restart.
    pub base: Duration,
    /// What the wait is multiplied with at each further one.
    pub factor: f64,
    /// The longest wait.
    pub cap: Duration,
    /// By which share of itself, up or down, a wait is varied, so that components do not restart in step.
    pub jitter: f64,
    /// After so long *ready*, earlier crashes are forgotten.
    pub reset_after: Duration,
    /// So many restarts within `window` are allowed; the next crash is final.
    pub intensity: u32,
    /// The window that `intensity` counts in.
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

/// The answer of one probe: fine, or what is wrong in words that fit after the dependency's name, such as `refuses connections`.
pub type Probe = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Something that the components need and we do not run. It takes part in the start order: nothing that needs it is started
/// while it is away.
#[derive(Clone)]
pub struct External {
    /// Its name, such as `mongodb`; shares one name space with the components.
    pub name: String,
    /// Asks how it is. Called again and again; an answer later than [`External::DEADLINE`] is none.
    pub check: Arc<dyn Fn() -> Probe + Send + Sync>,
}

impl External {
    /// How often it is asked.
    pub const PERIOD: Duration = Duration::from_secs(5);
    /// How long an answer may take.
    pub const DEADLINE: Duration = Duration::from_secs(4);
}

impl fmt::Debug for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("External").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The form of the lines in the logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// As the component wrote them, byte for byte.
    #[default]
    Raw,
    /// Each with the time at which it came before it.
    Text,
    /// Each as an object with its time and component.
    Json,
}

/// How logs are written, and how much of them is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPolicy {
    /// The form of the lines.
    pub format: LogFormat,
    /// Whether standard error has a pipe of its own, and its lines a mark. The order of lines of the two is that in which they were read.
    pub split_stderr: bool,
    /// The size in bytes at which a log file is put aside.
    pub max_bytes: u64,
    /// How many files put aside are kept for each component.
    pub max_files: usize,
    /// How many bytes all log files together may take; the oldest ones put aside go first.
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
