//! Makes the supervisor's plan from the settings.

use std::collections::BTreeMap;
use std::ffi::OsString;

use kit::Secret;
use kit::context::SERVICE_TOKEN;
use serde_json::Value;

use super::component::Component;
use super::effective::{EFFECTIVE_CONFIG, effective};
use super::groups::groups;
use super::process::{Process, digest};
use super::table::{self, components};
use super::used::disabled_reason;
use super::{message_probe, programs};
use crate::config::{LauncherConfig, LimitsConfig, Loaded, LogsConfig, OPENAI_API_KEY, is_secret};
use crate::preflight::mongodb;
use crate::supervisor::{
    AlertSpec, ComponentSpec, ConsoleSpec, External, Launch, LauncherSpec, Listen, LogPolicy, Plan, Readiness,
};

/// Settings whose change moves a running chat elsewhere, where earlier messages are missing.
const NEEDS_CONFIRMATION: [&str; 1] = ["store.url"];

/// The supervisor's plan, with these dependencies.
#[must_use]
pub fn plan(loaded: &Loaded, process: &Process, dependencies: Vec<External>) -> Plan {
    let own = components().map(|component| component_spec(component, loaded, process));
    let others = loaded.settings.components.iter().filter(|(name, _)| table::component(name).is_none());
    let others = others.flat_map(|(name, config)| programs::programs(name, config, loaded, process));
    Plan {
        run_id: process.run_id,
        components: own.chain(others).collect(),
        dependencies,
        data: loaded.directories.data.clone(),
        logs: loaded.directories.logs.clone(),
        log_policy: log_policy(&loaded.settings.logs),
        secrets: secrets(loaded, process),
        settings: settings(loaded),
        consent: NEEDS_CONFIRMATION.map(str::to_owned).into(),
        launcher: launcher(&loaded.settings.launcher),
        groups: groups(&loaded.settings),
        guard: Some(process.executable.clone()),
    }
}

/// The format and limits of the logs.
#[must_use]
pub fn log_policy(logs: &LogsConfig) -> LogPolicy {
    LogPolicy {
        format: logs.format,
        split_stderr: logs.split_stderr,
        max_bytes: logs.file_mib.saturating_mul(1 << 20),
        max_files: logs.files,
        max_total: logs.total_mib.saturating_mul(1 << 20),
    }
}

/// What the launcher does for itself.
#[must_use]
pub fn launcher(launcher: &LauncherConfig) -> LauncherSpec {
    let alerts = AlertSpec {
        program: launcher.on_event.clone(),
        webhook: launcher.webhook.clone(),
        token: launcher.webhook_token.clone(),
    };
    let read_only = launcher.console_read_only;
    let console = launcher.console_listen.clone().map(|listen| ConsoleSpec { listen, read_only });
    LauncherSpec { metrics: launcher.metrics_listen, console, watch: launcher.watch, alerts }
}

fn component_spec(component: &Component, loaded: &Loaded, process: &Process) -> ComponentSpec {
    let settings = &loaded.settings;
    let mut needs: Vec<String> = component.needs.iter().map(|need| (*need).to_owned()).collect();
    if component.settings.contains(&"store") && mongodb::is_mongodb(&settings.store.url) {
        needs.push(mongodb::NAME.to_owned());
    }
    let config = effective(component, settings).to_string();
    let replaced_by = settings.commands.get(component.name);
    let supervision = settings.components.get(component.name).cloned().unwrap_or_default();
    let limits = programs::limits_digest(&supervision);
    let key = loaded.api_key.as_ref().filter(|_| component.needs_api_key).map_or("", Secret::expose);
    let address = component.address(settings);
    let mut spec = ComponentSpec {
        config_digest: digest(&(&config, replaced_by, key, limits)),
        readiness: if replaced_by.is_some() { Readiness::Executed } else { Readiness::Notify },
        listen: sockets(component, loaded),
        address: Some(address),
        needs,
        ready_timeout: settings.launcher.ready_timeout,
        stop_grace: settings.launcher.stop_grace,
        ..ComponentSpec::new(component.name, launch(component, config, loaded, process))
    };
    programs::supervise(&mut spec, &supervision, programs::own_watchdog(replaced_by.is_some()));
    // Ours start no processes.
    spec.control_group = replaced_by.is_some() || spec.limits.memory.is_some() || spec.limits.cpu.is_some();
    spec.liveness = message_probe::liveness(component, supervision.liveness.as_ref(), loaded, process);
    spec
}

fn launch(component: &Component, config: String, loaded: &Loaded, process: &Process) -> Launch {
    if let Some(reason) = disabled_reason(component, loaded) {
        return Launch::Skip { reason };
    }
    let data = &loaded.directories.data;
    let (program, args) = match loaded.settings.commands.get(component.name) {
        Some(command) => programs::shimmed(command, process, &programs::ProcessSetup::default()),
        None => {
            let run = ["run".into(), component.name.into(), "--data".into(), data.clone().into_os_string()];
            let limits = loaded.settings.components.get(component.name).map(|component| component.limits);
            // The child sets its limits before it executes its program.
            let shim = ["shim".into(), "--".into(), process.executable.clone().into_os_string()];
            let is_limited = limits.is_some_and(|limits| limits != LimitsConfig::default());
            let shim = shim.into_iter().filter(|_| is_limited);
            (process.executable.clone(), shim.chain(run).collect())
        }
    };
    let mut env: Vec<(OsString, OsString)> =
        vec![(EFFECTIVE_CONFIG.into(), config.into()), (SERVICE_TOKEN.into(), process.token.expose().into())];
    if let Some(key) = loaded.api_key.as_ref().filter(|_| component.needs_api_key) {
        env.push((OPENAI_API_KEY.into(), key.expose().into()));
    }
    env.extend(component.env.iter().map(|(name, value)| (name.into(), value.into())));
    Launch::Command { program, args, env, env_remove: process.settings_variables.clone(), cwd: None }
}

/// The sockets to open for a component: none for a program that replaces it, which opens them itself.
fn sockets(component: &Component, loaded: &Loaded) -> Vec<Listen> {
    if loaded.settings.commands.contains_key(component.name) {
        return Vec::new();
    }
    let listeners = component.listeners(&loaded.settings).into_iter();
    listeners.map(|(name, address)| Listen { name, address }).collect()
}

/// The secrets to mask in logs. The password is masked separately, because programs print it without its URL.
fn secrets(loaded: &Loaded, process: &Process) -> Vec<Secret> {
    let password = mongodb::password(&loaded.settings.store.url).map(Secret::new);
    let given = loaded.settings.components.values().map(|component| &component.env);
    let given = given.chain(loaded.env_files.variables.values()).flatten();
    let given = given.filter(|(name, value)| is_secret(name) && !value.is_empty());
    let given = given.map(|(_, value)| Secret::new(value.clone()));
    let launcher = &loaded.settings.launcher;
    let webhook = launcher.webhook.iter().chain(&launcher.webhook_token).cloned();
    let own = loaded.api_key.iter().cloned().chain([process.token.clone()]);
    own.chain(password).chain(given).chain(webhook).collect()
}

/// Every setting with a digest of its value, for comparing plans; a value may be a secret.
fn settings(loaded: &Loaded) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let all = serde_json::to_value(&loaded.settings).expect("settings can be written as JSON");
    let mut open: Vec<(String, &Value)> = vec![(String::new(), &all)];
    while let Some((key, value)) = open.pop() {
        match value {
            Value::Object(entries) => {
                let prefix = if key.is_empty() { key } else { format!("{key}.") };
                open.extend(entries.iter().map(|(name, value)| (format!("{prefix}{name}"), value)));
            }
            value => {
                found.insert(key, digest(&value.to_string()));
            }
        }
    }
    // The content of its files is part of the setting that names them.
    for (name, variables) in &loaded.env_files.variables {
        found
            .entry(format!("components.{name}.env-file"))
            .and_modify(|known| *known = digest(&(&known, variables)));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::config::{self, Environment, Request};
    use crate::supervisor::{Dependents, ProbeMethod, ProbeSpec, RestartWhen};

    fn plan_with(sets: &[&str]) -> Plan {
        let directory = std::env::temp_dir();
        let variables = [("OPENAI_API_KEY", "sk-hunter2"), ("HOME", "/nowhere")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()));
        let environment = Environment { variables: variables.into(), directory };
        let request =
            Request { sets: sets.iter().map(|set| (*set).to_owned()).collect(), ..Request::default() };
        let loaded = config::load(&request, &environment).unwrap();
        let process = Process {
            run_id: Uuid::nil(),
            executable: "launcher".into(),
            token: Secret::new("token".to_owned()),
            umask: None,
            open_files: None,
            settings_variables: vec![OPENAI_API_KEY.into()],
        };
        plan(&loaded, &process, Vec::new())
    }

    #[test]
    fn the_bots_key_is_given_to_the_bot_alone() {
        for component in plan_with(&["lan-peer.enabled=true"]).components {
            let Launch::Command { env, env_remove, .. } = component.launch else {
                panic!("nothing is left out")
            };
            let has_key = env.iter().any(|(_, value)| value == "sk-hunter2");
            assert_eq!(has_key, component.name == "openai-bot");
            assert!(env_remove.contains(&OPENAI_API_KEY.into()));
        }
    }

    #[test]
    fn a_change_concerns_only_those_who_see_it() {
        let (before, after) =
            (plan_with(&[]), plan_with(&["openai-bot.model=other", "thermometer.name=warm"]));
        let pairs = before.components.iter().zip(&after.components);
        let changed = pairs.filter(|(old, new)| old.config_digest != new.config_digest);
        let names: Vec<&str> = changed.map(|(old, _)| old.name.as_str()).collect();
        // The message API and the chat server reserve the services' names.
        assert_eq!(names, ["message-api", "chat-server", "thermometer", "openai-bot"]);
    }

    #[test]
    fn policy_is_put_into_force_and_is_no_change_of_a_component() {
        let before = plan_with(&[]);
        let after = plan_with(&[
            "components.thermometer.restart=never",
            "components.thermometer.watchdog=0s",
            "components.web-adapter.required=false",
            "components.web-adapter.stop-grace=1s",
            "components.chat-server.dependents=restart",
            "components.chat-server.liveness={ http = 'http://127.0.0.1:5001/healthz', interval = '1s' }",
        ]);
        for (old, new) in before.components.iter().zip(&after.components) {
            assert_eq!(old.config_digest, new.config_digest, "{}", old.name);
        }
        let component = |name: &str| after.components.iter().find(|c| c.name == name).unwrap();
        let thermometer = component("thermometer");
        assert_eq!((thermometer.restart.when, thermometer.watchdog), (RestartWhen::Never, None));
        assert!(!component("web-adapter").required && component("web-adapter").watchdog.is_some());
        assert_eq!(component("chat-server").dependents, Dependents::Restart);
        assert_eq!(component("chat-server").liveness.as_ref().unwrap().period, Duration::from_secs(1));
    }

    #[test]
    fn what_starts_no_processes_has_no_control_group() {
        let plan = plan_with(&[
            "components.echo.command=['true']",
            "components.web-adapter.limits={ memory = '64MiB' }",
            "chat-server.command=['python3']",
        ]);
        let with = plan.components.iter().filter(|component| component.control_group);
        let names: Vec<&str> = with.map(|component| component.name.as_str()).collect();
        assert_eq!(names, ["chat-server", "web-adapter", "echo"]);
    }

    #[test]
    fn the_servers_are_asked_for_a_message_unless_the_operator_says_otherwise() {
        let liveness = |sets: &[&str], name: &str| {
            plan_with(sets).components.into_iter().find(|c| c.name == name).unwrap().liveness
        };
        let chat = liveness(&[], "chat-server").unwrap();
        assert!(matches!(&chat.ask, ProbeMethod::Call(_)), "{chat:?}");
        assert_eq!((chat.period.as_secs(), chat.timeout.as_secs(), chat.failures), (30, 10, 3));
        let api = liveness(&[], "message-api").unwrap();
        assert_eq!((api.period.as_secs(), api.timeout.as_secs(), api.failures), (30, 30, 3));
        assert_eq!(liveness(&[], "web-adapter"), None);
        let set = ["components.chat-server.liveness={ interval = '1s' }"];
        let often = liveness(&set, "chat-server").unwrap();
        assert_eq!((often.period.as_secs(), often.timeout.as_secs(), &often.ask), (1, 10, &chat.ask));
        assert_eq!(liveness(&["components.chat-server.liveness={ message = false }"], "chat-server"), None);
        assert_eq!(liveness(&["chat-server.command=['python3']"], "chat-server"), None);
        let other = liveness(&["chat-server.listen=127.0.0.1:15000"], "chat-server").unwrap();
        assert_ne!(other.ask, often.ask, "a reload asks the new address");
    }

    #[test]
    fn the_operators_program_is_started_through_the_shim_as_it_is_written() {
        let sets = [
            "components.echo.command=['python3', '-u']",
            "components.echo.args=['echo.py', '--', '-x']",
            "components.echo.env={ MODE = 'x' }",
            "components.echo.cwd=/srv",
            "components.echo.probe={ exec = ['true'] }",
        ];
        let plan_of = |more: &[&str]| plan_with(&[&sets[..], more].concat());
        let echo = |plan: Plan| plan.components.into_iter().find(|c| c.name == "echo").unwrap();
        let spec = echo(plan_of(&[]));
        let Launch::Command { program, args, env, cwd, .. } = &spec.launch else { panic!("it runs") };
        assert_eq!(program, &PathBuf::from("launcher"));
        assert_eq!(args, &["shim", "--", "python3", "-u", "echo.py", "--", "-x"].map(OsString::from));
        assert_eq!(
            (env.as_slice(), cwd.as_deref()),
            (&[("MODE".into(), "x".into())][..], Some("/srv".as_ref()))
        );
        assert!(matches!(&spec.readiness, Readiness::Probe(ProbeSpec { ask: ProbeMethod::Exec(_), .. })));
        assert_eq!((spec.watchdog, &spec.needs), (None, &vec!["chat-server".to_owned()]));
        let digest = |more: &[&str]| echo(plan_of(more)).config_digest;
        for policy in [
            "restart=on-failure",
            "needs=[]",
            "probe={ tcp = '127.0.0.1:1' }",
            "intensity=9",
            "stop-signal=INT",
            "stop-command=['true']",
            "autostart=false",
            "on-failure=stop-all",
        ] {
            assert_eq!(digest(&[&format!("components.echo.{policy}")]), spec.config_digest, "{policy}");
        }
        for launch in [
            "args=[]",
            "env={}",
            "cwd=/",
            "command=python3",
            "user=nobody",
            "group=1",
            "umask='027'",
            "limits={ nofile = 100 }",
            "limits={ memory = '64MiB' }",
        ] {
            assert_ne!(digest(&[&format!("components.echo.{launch}")]), spec.config_digest, "{launch}");
        }
    }

    #[test]
    fn what_a_component_is_given_under_a_secrets_name_is_masked() {
        let plan = plan_with(&[
            "components.x.command=x",
            "components.x.env={ BOT_TOKEN = 'hunter22', MODE = 'public' }",
        ]);
        let has = |text: &str| plan.secrets.iter().any(|secret| secret.expose() == text);
        assert!(has("hunter22") && !has("public"));
        assert!(!format!("{plan:?}").contains("hunter22"));
    }

    #[test]
    fn mongodb_is_needed_by_the_store_alone() {
        let plan = plan_with(&["store.url=mongodb://u:hunter2@host"]);
        let needing = plan.components.iter().filter(|c| c.needs.iter().any(|need| need == mongodb::NAME));
        assert_eq!(needing.map(|c| c.name.as_str()).collect::<Vec<_>>(), ["message-api"]);
        assert!(plan.secrets.iter().any(|secret| secret.expose() == "hunter2"));
        assert!(!format!("{plan:?}").contains("hunter2"));
    }
}
