//! What `[components.NAME]` makes of a component in the plan.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::groups::expand;
use super::process::{Process, digest};
use crate::alerts::Surroundings;
use crate::config::{ComponentConfig, LimitsConfig, Loaded, OnFailure, ProbeConfig, Umask, split_url};
use crate::supervisor::{
    Ask, ComponentKind, ComponentSpec, EndsAll, Launch, Limits, ProbeSpec, Readiness, RestartPolicy,
    RestartWhen, Schedule, ScheduleSpec, StopSpec,
};

/// How long one of ours may give no sign of life. It gives one every ten seconds, so this is a process that is stuck, not a
/// machine that is busy.
const WATCHDOG: Duration = Duration::from_secs(30);

/// Between two questions of a probe.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long a probe's answer may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Applies what `[components.NAME]` says of a component's supervision but for its liveness, of which ours have one of their own; it is as without that section where there is none.
pub(super) fn supervise(spec: &mut ComponentSpec, config: &ComponentConfig, watchdog: Option<Duration>) {
    spec.restart = RestartPolicy {
        when: config.restart.unwrap_or(match spec.kind {
            ComponentKind::Service | ComponentKind::Forking => RestartWhen::Always,
            ComponentKind::Oneshot => RestartWhen::Never,
        }),
        base: config.backoff,
        cap: config.backoff_max,
        reset_after: config.reset_after,
        intensity: config.intensity,
        window: config.window,
        ..RestartPolicy::default()
    };
    spec.required = config.required;
    spec.dependents = config.dependents;
    spec.watchdog = config.watchdog.or(watchdog).filter(|patience| !patience.is_zero());
    spec.ready_timeout = config.ready_timeout.unwrap_or(spec.ready_timeout);
    spec.stop_grace = config.stop_grace.unwrap_or(spec.stop_grace);
    spec.stop = StopSpec {
        signal: config.stop_signal,
        command: config.stop_command.iter().map(OsString::from).collect(),
    };
    spec.autostart = config.autostart;
    spec.ends_all = match config.on_failure {
        OnFailure::Keep => EndsAll::Never,
        OnFailure::StopAll => EndsAll::GivenUp,
    };
    let LimitsConfig { nofile, memory, cpu } = config.limits;
    spec.limits = Limits { nofile, memory: memory.map(|memory| memory.0), cpu };
}

/// The watchdog of one of ours; a program in its place need not give signs of life.
pub(super) fn own_watchdog(is_replaced: bool) -> Option<Duration> {
    (!is_replaced).then_some(WATCHDOG)
}

/// The operator's own program, or its replicas.
pub(super) fn programs(
    name: &str,
    config: &ComponentConfig,
    loaded: &Loaded,
    process: &Process,
) -> Vec<ComponentSpec> {
    let environment = loaded.environment_of(name);
    if config.replicas.is_none() {
        return vec![program(name, config, environment, loaded, process)];
    }
    let replica = |(number, name): (u32, String)| {
        // Also what comes from a file has its number.
        let whole = ComponentConfig { env: environment.clone(), ..config.clone() };
        let config = whole.replica(number);
        program(&name, &config, config.env.clone(), loaded, process)
    };
    (1..).zip(config.names(name)).map(replica).collect()
}

/// It is a user like any other, so it gets none of our secrets.
fn program(
    name: &str,
    config: &ComponentConfig,
    environment: BTreeMap<String, String>,
    loaded: &Loaded,
    process: &Process,
) -> ComponentSpec {
    let command: Vec<String> = config.command.iter().chain(&config.args).cloned().collect();
    let launcher = &loaded.settings.launcher;
    let dress = Dress::of(config, &environment);
    let (program, args) = shimmed(&command, process, &dress);
    let mut spec = ComponentSpec {
        name: name.to_owned(),
        kind: config.kind,
        pid_file: config.pid_file.as_ref().filter(|file| !file.is_empty()).map(|file| match &config.cwd {
            Some(cwd) => Path::new(cwd).join(file),
            None => PathBuf::from(file),
        }),
        launch: Launch::Command {
            program,
            args,
            env: environment.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            env_remove: process.settings_variables.clone(),
            cwd: config.cwd.as_ref().map(PathBuf::from),
        },
        readiness: readiness(config, process, &dress),
        listen: Vec::new(),
        address: config.address.clone(),
        schedule: schedule(config),
        watch: config.watch.clone(),
        needs: expand(&loaded.settings, &config.needs),
        restart: RestartPolicy::default(),
        required: config.required,
        dependents: config.dependents,
        watchdog: None,
        liveness: config.liveness.as_ref().map(|config| dressed_probe(config, process, &dress)),
        ready_timeout: launcher.ready_timeout,
        stop_grace: launcher.stop_grace,
        stop: StopSpec::default(),
        autostart: true,
        limits: Limits::default(),
        ends_all: EndsAll::Never,
        // Only what a process is started with; the rest is put into force without a restart.
        config_digest: digest(&(
            command,
            &environment,
            (&config.cwd, &config.pid_file),
            &dress,
            limits_digest(config),
        )),
    };
    supervise(&mut spec, config, None);
    spec.stop.command = dressed(&config.stop_command, process, &dress);
    spec
}

/// As whom a program of the operator's runs.
#[derive(Debug, Default, Hash)]
pub(super) struct Dress {
    user: Option<String>,
    group: Option<String>,
    umask: Option<Umask>,
    /// Which variables of a login it is given.
    login: Vec<&'static str>,
}

impl Dress {
    /// What the operator set by themselves stays as it is.
    fn of(config: &ComponentConfig, environment: &BTreeMap<String, String>) -> Self {
        let login = ["HOME", "USER", "LOGNAME"].into_iter();
        let login = login.filter(|name| config.user.is_some() && !environment.contains_key(*name));
        Self {
            user: config.user.clone(),
            group: config.group.clone(),
            umask: config.umask,
            login: login.collect(),
        }
    }

    fn arguments(&self, process: &Process) -> Vec<OsString> {
        // Ours is for what we write.
        let umask = self.umask.map(|umask| umask.0).or(process.umask);
        let umask = umask.map(|umask| format!("--umask={umask:o}"));
        let user = self.user.as_ref().map(|user| format!("--user={user}"));
        let group = self.group.as_ref().map(|group| format!("--group={group}"));
        let login = (!self.login.is_empty()).then(|| format!("--login={}", self.login.join(",")));
        [umask, user, group, login].into_iter().flatten().map(OsString::from).collect()
    }
}

/// Another command of the same component, such as a probe; nothing where there is none.
fn dressed(command: &[String], process: &Process, dress: &Dress) -> Vec<OsString> {
    if command.is_empty() || dress.user.is_none() && dress.group.is_none() {
        return command.iter().map(OsString::from).collect();
    }
    let (program, args) = shimmed(command, process, dress);
    std::iter::once(program.into_os_string()).chain(args).collect()
}

fn dressed_probe(config: &ProbeConfig, process: &Process, dress: &Dress) -> ProbeSpec {
    let mut probe = probe(config);
    if let (Ask::Exec(asked), Some(command)) = (&mut probe.ask, &config.exec) {
        *asked = dressed(command, process, dress);
    }
    probe
}

/// Stands for the limits that a process is started with.
pub(super) fn limits_digest(config: &ComponentConfig) -> String {
    format!("{:?}", config.limits)
}

/// A foreign command as the supervisor starts it: our executable ties the process to us and becomes the command.
pub(super) fn shimmed(command: &[String], process: &Process, dress: &Dress) -> (PathBuf, Vec<OsString>) {
    let args = shim(process, dress).into_iter().chain(command.iter().map(OsString::from));
    (process.executable.clone(), args.collect())
}

/// Our arguments before those of a foreign command.
fn shim(process: &Process, dress: &Dress) -> Vec<OsString> {
    let files = process.open_files.map(|files| format!("--open-files={files}").into());
    std::iter::once("shim".into()).chain(dress.arguments(process)).chain(files).chain(["--".into()]).collect()
}

/// What the program that is told of events is started with.
#[must_use]
pub fn surroundings(process: &Process) -> Surroundings {
    Surroundings {
        run_id: process.run_id,
        executable: process.executable.clone(),
        shim: shim(process, &Dress::default()),
        env_remove: process.settings_variables.clone(),
    }
}

/// One that is wrong is a mistake of the configuration.
fn schedule(config: &ComponentConfig) -> Option<ScheduleSpec> {
    let schedule = Schedule::parse(config.schedule.as_deref()?, config.time_zone.as_deref()).ok()?;
    Some(ScheduleSpec { schedule, overlap: config.overlap })
}

fn readiness(config: &ComponentConfig, process: &Process, dress: &Dress) -> Readiness {
    match &config.probe {
        Some(config) => Readiness::Probe(dressed_probe(config, process, dress)),
        // Once the process is found that it names.
        None if config.kind == ComponentKind::Forking => Readiness::Notify,
        None if config.notify => Readiness::Notify,
        None => Readiness::Executed,
    }
}

pub(super) fn probe(config: &ProbeConfig) -> ProbeSpec {
    let url = config.http.as_deref().and_then(split_url);
    let http =
        url.map(|(authority, path)| Ask::Http { authority: authority.to_owned(), path: path.to_owned() });
    let tcp = || config.tcp.clone().map(Ask::Tcp);
    let exec = || config.exec.as_ref().map(|command| Ask::Exec(command.iter().map(OsString::from).collect()));
    let log = || config.log.clone().map(Ask::Log);
    ProbeSpec {
        ask: http.or_else(tcp).or_else(exec).or_else(log).expect("a probe that asks nothing is a mistake"),
        period: config.interval.unwrap_or(INTERVAL),
        timeout: config.timeout.unwrap_or(TIMEOUT),
        successes: config.successes,
        failures: config.failures,
        start_period: config.start_period,
    }
}
