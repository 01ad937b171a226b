//! `[components.NAME]`: how a component is supervised, ours or a program of the operator's, and what that program is.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::attributes::{LimitsConfig, Umask, name_or_number};
use crate::supervisor::{ComponentKind, Dependents, Overlap, RestartWhen, StopSignal};

/// One component. Of ours only what supervises it can be set; see [`ComponentConfig::PROGRAM_KEYS`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ComponentConfig {
    /// Whether it serves, does something and is done, or starts a process that serves.
    #[serde(rename = "type")]
    pub kind: ComponentKind,
    /// Where one that forks says which process serves; relative to its working directory.
    pub pid_file: Option<String>,
    /// The program, alone or with arguments. No shell is between.
    #[serde(deserialize_with = "one_or_many")]
    pub command: Vec<String>,
    /// More arguments.
    pub args: Vec<String>,
    /// Variables of its environment, besides ours.
    pub env: BTreeMap<String, String>,
    /// Files with more of them, as `.env`; a later file wins over an earlier one, and `env` over all. Relative to the configuration.
    #[serde(deserialize_with = "one_or_many")]
    pub env_file: Vec<String>,
    /// Its working directory.
    pub cwd: Option<String>,
    /// How many of it there are; without a number it is one, under its own name.
    pub replicas: Option<u32>,
    /// What must be ready before it is started.
    pub needs: Vec<String>,
    /// Where it can be reached; only shown.
    pub address: Option<String>,
    /// Whether it says that it is ready (`READY=1` to `$NOTIFY_SOCKET`). Without this and without a probe it is taken to be once
    /// it is started.
    pub notify: bool,
    /// Asked whether it serves. While it does not, nothing that needs it is started.
    pub probe: Option<ProbeConfig>,
    /// Asked whether it must be started anew.
    pub liveness: Option<ProbeConfig>,
    /// When it runs by the clock: minute, hour, day of the month, month, day of the week.
    pub schedule: Option<String>,
    /// The time zone of its schedule; the machine's own if there is none.
    pub time_zone: Option<String>,
    /// What follows when a run is due before the one before is over.
    pub overlap: Overlap,
    /// Patterns of files whose change restarts it, for development; relative ones from its working directory on.
    #[serde(deserialize_with = "one_or_many")]
    pub watch: Vec<String>,
    /// After which ends it is started again: a service always, a one-shot never, where nothing is said.
    pub restart: Option<RestartWhen>,
    /// The wait before the first restart; each further one doubles it.
    #[serde(with = "kit::duration")]
    pub backoff: Duration,
    /// The longest wait.
    #[serde(with = "kit::duration")]
    pub backoff_max: Duration,
    /// After so long ready, earlier crashes are forgotten.
    #[serde(with = "kit::duration")]
    pub reset_after: Duration,
    /// How many restarts are allowed within the window; the next crash is final.
    pub intensity: u32,
    /// The window.
    #[serde(with = "kit::duration")]
    pub window: Duration,
    /// What happens to all others when it has been given up.
    pub on_failure: OnFailure,
    /// Whether the whole counts as unhealthy while this is not ready.
    pub required: bool,
    /// What happens to those that need it when it crashes.
    pub dependents: Dependents,
    /// How long it may give no sign of life (`WATCHDOG=1`) once it is ready; `"0s"` for ever.
    #[serde(with = "kit::duration::optional")]
    pub watchdog: Option<Duration>,
    /// How long it may take to be ready, where it is not as `launcher.ready-timeout` says.
    #[serde(with = "kit::duration::optional")]
    pub ready_timeout: Option<Duration>,
    /// How long it may take to end, where it is not as `launcher.stop-grace` says.
    #[serde(with = "kit::duration::optional")]
    pub stop_grace: Option<Duration>,
    /// The user that it runs as, by name or number.
    #[serde(deserialize_with = "name_or_number")]
    pub user: Option<String>,
    /// The group that it runs as, where that is not its user's.
    #[serde(deserialize_with = "name_or_number")]
    pub group: Option<String>,
    /// Which permissions the files that it makes do not have.
    pub umask: Option<Umask>,
    /// How much of the machine it may take.
    pub limits: LimitsConfig,
    /// The signal that asks it to end.
    pub stop_signal: StopSignal,
    /// Run first when it is to end; the signal is sent if it fails, and at the end of `stop-grace`.
    #[serde(deserialize_with = "one_or_many")]
    pub stop_command: Vec<String>,
    /// Whether it is started with the launcher, and not only by the operator.
    pub autostart: bool,
}

impl ComponentConfig {
    /// The keys that say what the program is. Ours are what they are, so these are for the operator's own programs.
    pub(crate) const PROGRAM_KEYS: [&'static str; 19] = [
        "type",
        "pid-file",
        "command",
        "args",
        "env",
        "env-file",
        "cwd",
        "replicas",
        "user",
        "group",
        "umask",
        "needs",
        "address",
        "notify",
        "probe",
        "schedule",
        "time-zone",
        "overlap",
        "watch",
    ];
}

impl Default for ComponentConfig {
    fn default() -> Self {
        Self {
            kind: ComponentKind::Service,
            pid_file: None,
            command: Vec::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
            env_file: Vec::new(),
            cwd: None,
            replicas: None,
            needs: vec!["chat-server".to_owned()],
            address: None,
            notify: false,
            probe: None,
            liveness: None,
            schedule: None,
            time_zone: None,
            overlap: Overlap::Skip,
            watch: Vec::new(),
            restart: None,
            backoff: Duration::from_millis(200),
            backoff_max: Duration::from_secs(30),
            reset_after: Duration::from_secs(60),
            intensity: 5,
            window: Duration::from_secs(60),
            on_failure: OnFailure::Keep,
            required: true,
            dependents: Dependents::Keep,
            watchdog: None,
            ready_timeout: None,
            stop_grace: None,
            user: None,
            group: None,
            umask: None,
            limits: LimitsConfig::default(),
            stop_signal: StopSignal::Term,
            stop_command: Vec::new(),
            autostart: true,
        }
    }
}

/// What happens to all others when a component has been given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// They go on.
    #[default]
    Keep,
    /// They are stopped, and the launcher ends with its exit code.
    StopAll,
}

/// How a component is asked: by exactly one of the first five, the others have good defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProbeConfig {
    /// `http://HOST:PORT/PATH`: well when the status is from 200 to 399.
    pub http: Option<String>,
    /// `HOST:PORT`: well when somebody accepts.
    pub tcp: Option<String>,
    /// A program and its arguments: well when it exits with 0.
    pub exec: Option<Vec<String>>,
    /// A text: well once a line of the log has it.
    pub log: Option<String>,
    /// Whether a message is sent: the liveness of the chat server and of the message API unless another way is named.
    pub message: Option<bool>,
    /// The time between two questions, where it is not the way's own. Until the first good answer it is asked more often.
    #[serde(with = "kit::duration::optional")]
    pub interval: Option<Duration>,
    /// How long an answer may take, likewise.
    #[serde(with = "kit::duration::optional")]
    pub timeout: Option<Duration>,
    /// How many good answers in a row make it well.
    pub successes: u32,
    /// How many bad ones make it unwell.
    pub failures: u32,
    /// So long after the start bad answers do not count.
    #[serde(with = "kit::duration")]
    pub start_period: Duration,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            http: None,
            tcp: None,
            exec: None,
            log: None,
            message: None,
            interval: None,
            timeout: None,
            successes: 1,
            failures: 3,
            start_period: Duration::ZERO,
        }
    }
}

/// A text is a list of one.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMany;
    impl<'de> de::Visitor<'de> for OneOrMany {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a program, or a list of texts, the program first")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            Deserialize::deserialize(de::value::SeqAccessDeserializer::new(seq))
        }
    }
    deserializer.deserialize_any(OneOrMany)
}
