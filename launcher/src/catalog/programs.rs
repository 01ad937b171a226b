//! Converts `[components.NAME]` to a component of the plan.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::groups::expand;
use super::process::{Process, digest};
use crate::alerts::Surroundings;
use crate::config::{ComponentConfig, LimitsConfig, Loaded, OnFailure, ProbeConfig, Umask, split_url};
use crate::supervisor::{
    ComponentKind, ComponentSpec, EndsAll, Launch, Limits, ProbeMethod, ProbeSpec, Readiness, RestartPolicy,
    RestartWhen, Schedule, ScheduleSpec, StopSpec,
};

/// The watchdog interval of built-in components. They feed it every ten seconds, so only a process that hangs misses it, not one on a busy
/// machine.
const WATCHDOG: Duration = Duration::from_secs(30);

/// The default interval of probes.
const INTERVAL: Duration = Duration::from_secs(10);
/// The default time limit of a probe.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Applies the configured supervision of a component except its liveness, for which built-in ones have a probe of their own. Without the
/// section the defaults apply.
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

/// The watchdog of a built-in component; a program that replaces it need not feed it.
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
    let setup = ProcessSetup::of(config, &environment);
    let (program, args) = shimmed(&command, process, &setup);
    let launch = Launch::Command {
        program,
        args,
        env: environment.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        env_remove: process.settings_variables.clone(),
        cwd: config.cwd.as_ref().map(PathBuf::from),
    };
    let mut spec = ComponentSpec {
        kind: config.kind,
        pid_file: config.pid_file.as_ref().filter(|file| !file.is_empty()).map(|file| match &config.cwd {
            Some(cwd) => Path::new(cwd).join(file),
            None => PathBuf::from(file),
        }),
        is_of_other_user: config.user.is_some(),
        readiness: readiness(config, process, &setup),
        address: config.address.clone(),
        schedule: schedule(config),
        watch: config.watch.clone(),
        needs: expand(&loaded.settings, &config.needs),
        liveness: config.liveness.as_ref().map(|config| probe_in_setup(config, process, &setup)),
        ready_timeout: launcher.ready_timeout,
        stop_grace: launcher.stop_grace,
        // Only what a process is started with; the rest is applied without a restart.
        config_digest: digest(&(
            command,
            &environment,
            (&config.cwd, &config.pid_file),
            &setup,
            limits_digest(config),
        )),
        ..ComponentSpec::new(name, launch)
    };
    supervise(&mut spec, config, None);
    spec.stop.command = in_setup(&config.stop_command, process, &setup);
    spec
}

/// User, group and umask of another program, and its login variables.
#[derive(Debug, Default, Hash)]
pub(super) struct ProcessSetup {
    user: Option<String>,
    group: Option<String>,
    umask: Option<Umask>,
    /// The login variables that it receives.
    login: Vec<&'static str>,
}

impl ProcessSetup {
    /// Variables set by the operator take precedence.
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
        // Our own umask is for what we write.
        let umask = self.umask.map(|umask| umask.0).or(process.umask);
        let umask = umask.map(|umask| format!("--umask={umask:o}"));
        let user = self.user.as_ref().map(|user| format!("--user={user}"));
        let group = self.group.as_ref().map(|group| format!("--group={group}"));
        let login = (!self.login.is_empty()).then(|| format!("--login={}", self.login.join(",")));
        [umask, user, group, login].into_iter().flatten().map(OsString::from).collect()
    }
}

/// Another command of the same component, such as a probe; empty if there is none.
fn in_setup(command: &[String], process: &Process, setup: &ProcessSetup) -> Vec<OsString> {
    if command.is_empty() || setup.user.is_none() && setup.group.is_none() {
        return command.iter().map(OsString::from).collect();
    }
    let (program, args) = shimmed(command, process, setup);
    std::iter::once(program.into_os_string()).chain(args).collect()
}

fn probe_in_setup(config: &ProbeConfig, process: &Process, setup: &ProcessSetup) -> ProbeSpec {
    let mut probe = probe(config);
    if let (ProbeMethod::Exec(asked), Some(command)) = (&mut probe.ask, &config.exec) {
        *asked = in_setup(command, process, setup);
    }
    probe
}

/// Identifies the limits that a process is started with.
pub(super) fn limits_digest(config: &ComponentConfig) -> String {
    format!("{:?}", config.limits)
}

/// The command with which the supervisor starts another program: our executable ties the process to the launcher and then executes the
/// program.
pub(super) fn shimmed(
    command: &[String],
    process: &Process,
    setup: &ProcessSetup,
) -> (PathBuf, Vec<OsString>) {
    let args = shim(process, setup).into_iter().chain(command.iter().map(OsString::from));
    (process.executable.clone(), args.collect())
}

/// Our arguments before those of the program.
fn shim(process: &Process, setup: &ProcessSetup) -> Vec<OsString> {
    let files = process.open_files.map(|files| format!("--open-files={files}").into());
    std::iter::once("shim".into()).chain(setup.arguments(process)).chain(files).chain(["--".into()]).collect()
}

/// The context of the program that is run with each event.
#[must_use]
pub fn surroundings(process: &Process) -> Surroundings {
    Surroundings {
        run_id: process.run_id,
        executable: process.executable.clone(),
        shim: shim(process, &ProcessSetup::default()),
        env_remove: process.settings_variables.clone(),
    }
}

/// One that is wrong is a mistake of the configuration.
fn schedule(config: &ComponentConfig) -> Option<ScheduleSpec> {
    let schedule = Schedule::parse(config.schedule.as_deref()?, config.time_zone.as_deref()).ok()?;
    Some(ScheduleSpec { schedule, overlap: config.overlap })
}

fn readiness(config: &ComponentConfig, process: &Process, setup: &ProcessSetup) -> Readiness {
    match &config.probe {
        Some(config) => Readiness::Probe(probe_in_setup(config, process, setup)),
        // Once the process that the pid file names was found.
        None if config.kind == ComponentKind::Forking => Readiness::Notify,
        None if config.notify => Readiness::Notify,
        None => Readiness::Executed,
    }
}

pub(super) fn probe(config: &ProbeConfig) -> ProbeSpec {
    let url = config.http.as_deref().and_then(split_url);
    let http = url.map(|(authority, path)| ProbeMethod::Http {
        authority: authority.to_owned(),
        path: path.to_owned(),
    });
    let tcp = || config.tcp.clone().map(ProbeMethod::Tcp);
    let exec = || {
        config.exec.as_ref().map(|command| ProbeMethod::Exec(command.iter().map(OsString::from).collect()))
    };
    let log = || config.log.clone().map(ProbeMethod::Log);
    ProbeSpec {
        ask: http.or_else(tcp).or_else(exec).or_else(log).expect("a probe that asks nothing is a mistake"),
        period: config.interval.unwrap_or(INTERVAL),
        timeout: config.timeout.unwrap_or(TIMEOUT),
        successes: config.successes,
        failures: config.failures,
        start_period: config.start_period,
    }
}
