//! `[components.NAME]`: the supervision of a component, built-in or another program, and that program.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::attributes::{LimitsConfig, Umask, name_or_number};
use super::needs::Needs;
use crate::supervisor::{ComponentKind, Dependents, Overlap, RestartWhen, StopSignal};

/// A component. For a built-in one only its supervision can be configured; see [`ComponentConfig::PROGRAM_KEYS`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ComponentConfig {
    /// Whether it is a service, a one-shot, or forks a service.
    #[serde(rename = "type")]
    pub kind: ComponentKind,
    /// The pid file of a forking program, with the process that serves; relative to its working directory.
    pub pid_file: Option<String>,
    /// The program, alone or with arguments; run without a shell.
    #[serde(deserialize_with = "one_or_many")]
    pub command: Vec<String>,
    /// Additional arguments.
    pub args: Vec<String>,
    /// Additional environment variables.
    pub env: BTreeMap<String, String>,
    /// Files with additional variables, in the format of `.env`; later files override earlier ones, and `env` overrides all. Relative to
    /// the configuration file.
    #[serde(deserialize_with = "one_or_many")]
    pub env_file: Vec<String>,
    /// Its working directory.
    pub cwd: Option<String>,
    /// How many of it there are; without a number it is one, under its own name.
    pub replicas: Option<u32>,
    /// What must be ready, or have finished, before it is started.
    pub needs: Needs,
    /// Its address, for display only.
    pub address: Option<String>,
    /// Whether it reports readiness (`READY=1` to `$NOTIFY_SOCKET`). Without this and without a probe it is ready once it is started.
    pub notify: bool,
    /// The readiness probe. While it fails, dependents are not started.
    pub probe: Option<ProbeConfig>,
    /// The liveness probe, which restarts it.
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
    /// The first backoff; it doubles with each further restart. After the first crash of a program that was ready there is none.
    #[serde(with = "kit::duration")]
    pub backoff: Duration,
    /// The maximum backoff.
    #[serde(with = "kit::duration")]
    pub backoff_max: Duration,
    /// After being ready for this long, earlier crashes are forgotten.
    #[serde(with = "kit::duration")]
    pub reset_after: Duration,
    /// The number of restarts within the window; the next crash is final.
    pub intensity: u32,
    /// The window of `intensity`.
    #[serde(with = "kit::duration")]
    pub window: Duration,
    /// What happens to all other components when it has failed.
    pub on_failure: OnFailure,
    /// Whether the overall state is unhealthy while this component is not ready.
    pub required: bool,
    /// What happens to its dependents when it crashes.
    pub dependents: Dependents,
    /// The watchdog interval once it is ready (`WATCHDOG=1`); `"0s"` disables it.
    #[serde(with = "kit::duration::optional")]
    pub watchdog: Option<Duration>,
    /// Time limit to become ready, if different from `launcher.ready-timeout`.
    #[serde(with = "kit::duration::optional")]
    pub ready_timeout: Option<Duration>,
    /// Time limit to end, if different from `launcher.stop-grace`.
    #[serde(with = "kit::duration::optional")]
    pub stop_grace: Option<Duration>,
    /// The user that it runs as, by name or number.
    #[serde(deserialize_with = "name_or_number")]
    pub user: Option<String>,
    /// The group that it runs as, if different from its user's.
    #[serde(deserialize_with = "name_or_number")]
    pub group: Option<String>,
    /// The permissions that the files it creates do not have.
    pub umask: Option<Umask>,
    /// The resource limits.
    pub limits: LimitsConfig,
    /// The signal that asks it to end.
    pub stop_signal: StopSignal,
    /// Run first when it is to end; the signal is sent if this fails, or at the end of `stop-grace`.
    #[serde(deserialize_with = "one_or_many")]
    pub stop_command: Vec<String>,
    /// Whether it starts with the launcher, and not only by request of the operator.
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
            needs: vec!["chat-server".to_owned()].into(),
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

/// What happens to all other components when one has failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// They go on.
    #[default]
    Keep,
    /// They are stopped, and the launcher exits with its exit code.
    StopAll,
}

/// A probe: exactly one of the first five keys; the others have defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProbeConfig {
    /// `http://HOST:PORT/PATH`: succeeds with a status from 200 to 399.
    pub http: Option<String>,
    /// `HOST:PORT`: succeeds if the connection is accepted.
    pub tcp: Option<String>,
    /// A program and its arguments: succeeds with exit code 0.
    pub exec: Option<Vec<String>>,
    /// A text: succeeds once a line of the log contains it.
    pub log: Option<String>,
    /// Whether to send a message: the default liveness probe of the chat server and the message API.
    pub message: Option<bool>,
    /// The interval, if different from the default of this kind. Until the first success probes are more frequent.
    #[serde(with = "kit::duration::optional")]
    pub interval: Option<Duration>,
    /// The time limit, if different from the default of this kind.
    #[serde(with = "kit::duration::optional")]
    pub timeout: Option<Duration>,
    /// Consecutive successes for a good verdict.
    pub successes: u32,
    /// Consecutive failures for a bad verdict.
    pub failures: u32,
    /// Failures this soon after the start are ignored.
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

/// A single text is a list with one entry.
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
