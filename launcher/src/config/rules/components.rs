//! Validation of `[components.NAME]` beyond the types of its keys.

use std::collections::BTreeSet;

use super::schedule;
use crate::catalog::table;
use crate::config::attributes::{LimitsConfig, Size};
use crate::config::components::{ComponentConfig, ProbeConfig};
use crate::config::layers::Origins;
use crate::config::nearest::nearest;
use crate::config::needs::NeededState;
use crate::config::settings::Settings;
use crate::config::source::Source;
use crate::supervisor::{ComponentKind, RestartWhen};

/// More of one program on one machine are a mistake.
const MAX_REPLICAS: u32 = 200;

/// The longest name of a component.
const MAX_NAME: usize = 40;

/// Each with its key.
pub(super) fn check(settings: &Settings, origins: &Origins) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, component) in &settings.components {
        let mut complain = |key: &str, what: String| found.push((format!("components.{name}.{key}"), what));
        if table::component(name).is_some() {
            let given = |key: &&str| origins.of(&format!("components.{name}.{key}")) != Source::Default;
            for key in ComponentConfig::PROGRAM_KEYS.iter().filter(|key| given(key)) {
                let what = format!("{name} is a built-in component; to replace it, set command in [{name}]");
                complain(key, what);
            }
        } else {
            program(settings, name, component, &mut complain);
            schedule::check(settings, component, &mut complain);
        }
        supervision(component, &mut complain);
        replicas(name, component, &mut complain);
        watch(component, &mut complain);
        // What is written for all of them holds for each.
        let component = &component.replicas.map_or_else(|| component.clone(), |_| component.replica(1));
        for (key, probe) in [("probe", &component.probe), ("liveness", &component.liveness)] {
            let has_message_probe = key == "liveness" && table::has_message_probe(name);
            let problem = |probe| problem(probe, key == "liveness", has_message_probe);
            if let Some(what) = probe.as_ref().and_then(problem) {
                complain(key, what);
            }
        }
    }
    found
}

fn program(
    settings: &Settings,
    name: &str,
    component: &ComponentConfig,
    complain: &mut impl FnMut(&str, String),
) {
    if component.command.first().is_none_or(String::is_empty) {
        complain("command", "names no program; write command = [\"program\", \"argument\"]".to_owned());
    }
    needs(settings, name, component, complain);
    if component.kind == ComponentKind::Oneshot && (component.notify || component.probe.is_some()) {
        let key = if component.notify { "notify" } else { "probe" };
        complain(
            key,
            "a one-shot component is ready for others once it has exited with 0, not before".to_owned(),
        );
    }
    let forks = component.kind == ComponentKind::Forking;
    match component.pid_file.as_deref() {
        None | Some("") if forks => {
            let what =
                "a forking component names the process that serves; write pid-file = \"/run/name.pid\"";
            complain("pid-file", what.to_owned());
        }
        Some(file) if !forks && !file.is_empty() => {
            complain("pid-file", "only a component of type = \"forking\" has one".to_owned())
        }
        Some(_) | None => {}
    }
    if forks && component.notify {
        complain(
            "notify",
            "a forking component is ready once its pid-file names a process of its own".to_owned(),
        );
    }
    if component.kind == ComponentKind::Oneshot && component.restart == Some(RestartWhen::Always) {
        complain(
            "restart",
            "a one-shot component is done when it has exited with 0; write on-failure or never".to_owned(),
        );
    }
    if component.notify && component.probe.is_some() {
        complain("probe", "one of notify and probe will do: which is to say that it serves?".to_owned());
    }
}

/// What it needs.
fn needs(
    settings: &Settings,
    name: &str,
    component: &ComponentConfig,
    complain: &mut impl FnMut(&str, String),
) {
    let known = |need: &&String| {
        table::component(need).is_some()
            || settings.components.contains_key(*need)
            || settings.launcher.groups.contains_key(*need)
    };
    for need in component.needs.iter().filter(|need| !known(need)) {
        complain("needs", unknown(settings, need));
    }
    for (need, state) in component.needs.states() {
        for member in settings.members(need) {
            if let Some(what) = never(settings, member, state) {
                complain("needs", what);
            }
        }
    }
    if needs_itself(settings, name) {
        complain("needs", "needs itself, if by a detour".to_owned());
    }
}

/// Why a component will never be in a state.
fn never(settings: &Settings, name: &str, state: NeededState) -> Option<String> {
    let kind = settings.components.get(name).map_or(ComponentKind::Service, |component| component.kind);
    match (kind, state) {
        (ComponentKind::Oneshot, NeededState::Ready) => {
            Some(format!("{name} is a one-shot, which is never ready; write {name} = \"finished\""))
        }
        (ComponentKind::Service | ComponentKind::Forking, NeededState::Finished) => {
            Some(format!("{name} is no one-shot, so it never finishes; write {name} = \"ready\""))
        }
        (ComponentKind::Oneshot, NeededState::Finished)
        | (ComponentKind::Service | ComponentKind::Forking, NeededState::Ready) => None,
    }
}

fn unknown(settings: &Settings, need: &str) -> String {
    let mut names: Vec<&str> = table::names().collect();
    names.extend(settings.components.keys().chain(settings.launcher.groups.keys()).map(String::as_str));
    match nearest(need, names) {
        Some(near) => format!("there is nothing called '{need}'; did you mean '{near}'?"),
        None => format!("there is nothing called '{need}'"),
    }
}

fn supervision(component: &ComponentConfig, complain: &mut impl FnMut(&str, String)) {
    let times = [
        ("backoff", Some(component.backoff)),
        ("backoff-max", Some(component.backoff_max)),
        ("window", Some(component.window)),
        ("ready-timeout", component.ready_timeout),
        ("stop-grace", component.stop_grace),
    ];
    for (key, _) in times.iter().filter(|(_, time)| time.is_some_and(|time| time.is_zero())) {
        complain(key, "must be greater than zero".to_owned());
    }
    if component.stop_command.first().is_some_and(String::is_empty) {
        complain(
            "stop-command",
            "names no program; write stop-command = [\"program\", \"argument\"]".to_owned(),
        );
    }
    limits(component, complain);
    if component.backoff > component.backoff_max {
        complain("backoff-max", "is less than backoff".to_owned());
    }
}

/// With lower limits no program could start.
fn limits(component: &ComponentConfig, complain: &mut impl FnMut(&str, String)) {
    const FEWEST_FILES: u64 = 16;
    const LEAST_MEMORY: u64 = 4 << 20;
    let LimitsConfig { nofile, memory, cpu } = component.limits;
    if nofile.is_some_and(|files| files < FEWEST_FILES) {
        complain("limits", format!("nofile must be at least {FEWEST_FILES}"));
    }
    if memory.is_some_and(|memory| memory.0 < LEAST_MEMORY) {
        complain("limits", format!("memory must be at least {}", Size(LEAST_MEMORY)));
    }
    if cpu.is_some_and(|cpu| !(0.01..=10_000.0).contains(&cpu)) {
        complain("limits", "cpu is a number of processors from 0.01 on, such as 0.5".to_owned());
    }
}

fn watch(component: &ComponentConfig, complain: &mut impl FnMut(&str, String)) {
    let is_empty = |pattern: &&String| pattern.trim_matches(['/', '.']).is_empty();
    if let Some(pattern) = component.watch.iter().find(is_empty) {
        complain("watch", format!("'{pattern}' names no file; write watch = [\"src/**\"]"));
    }
    if !component.watch.is_empty() && component.schedule.is_some() {
        complain("watch", "restarts what runs; what runs by a schedule has no use for it".to_owned());
    }
}

fn replicas(name: &str, component: &ComponentConfig, complain: &mut impl FnMut(&str, String)) {
    let Some(count) = component.replicas else { return };
    if count == 0 || count > MAX_REPLICAS {
        complain("replicas", format!("must be 1 to {MAX_REPLICAS}"));
    } else if name.len() + 1 + count.to_string().len() > MAX_NAME {
        complain(
            "replicas",
            format!("{name}.{count} is longer than {MAX_NAME} characters; shorten the name"),
        );
    }
}

/// What is wrong with a probe, if something is.
fn problem(probe: &ProbeConfig, is_liveness: bool, has_message_probe: bool) -> Option<String> {
    if probe.message.is_some() && !has_message_probe {
        return Some("only the liveness of chat-server and message-api takes message".to_owned());
    }
    let ways = [probe.http.is_some(), probe.tcp.is_some(), probe.exec.is_some(), probe.log.is_some()];
    let ways = ways.iter().filter(|is_given| **is_given).count() + usize::from(probe.message == Some(true));
    if ways != 1 && !(has_message_probe && ways == 0) {
        return Some("names one of http, tcp, exec and log".to_owned());
    }
    if probe.http.as_ref().is_some_and(|url| split_url(url).is_none()) {
        return Some("http is written \"http://HOST:PORT/PATH\"".to_owned());
    }
    if probe.tcp.as_ref().is_some_and(|address| !is_authority(address)) {
        return Some("tcp is written \"HOST:PORT\"".to_owned());
    }
    if probe.exec.as_ref().is_some_and(|command| command.first().is_none_or(String::is_empty)) {
        return Some("exec names no program; write exec = [\"program\", \"argument\"]".to_owned());
    }
    if probe.log.as_ref().is_some_and(String::is_empty) {
        return Some("log is a text that one of its lines has".to_owned());
    }
    if probe.log.is_some() && is_liveness {
        return Some("log probes are for readiness only; use http, tcp or exec".to_owned());
    }
    let is_zero = [probe.interval, probe.timeout].into_iter().flatten().any(|time| time.is_zero());
    if is_zero || probe.successes == 0 || probe.failures == 0 {
        return Some("interval, timeout, successes and failures must be more than nothing".to_owned());
    }
    None
}

/// Splits the URL of a probe into host with port, and path.
pub(crate) fn split_url(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("http://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_plain = path.chars().all(|c| c.is_ascii_graphic());
    (is_authority(authority) && is_plain).then_some((authority, if path.is_empty() { "/" } else { path }))
}

fn is_authority(text: &str) -> bool {
    let is_host =
        |host: &str| !host.is_empty() && host.chars().all(|c| c.is_ascii_graphic() && c != '/' && c != '@');
    text.rsplit_once(':')
        .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok_and(|port| port != 0))
}

fn needs_itself(settings: &Settings, name: &str) -> bool {
    let needs = |name: &str| {
        let needs = settings.components.get(name).map_or(&[][..], |component| &*component.needs);
        needs.iter().flat_map(|need| settings.members(need))
    };
    let mut seen = BTreeSet::new();
    let mut open: Vec<&String> = needs(name).collect();
    while let Some(need) = open.pop() {
        if need == name {
            return true;
        }
        if seen.insert(need) && table::component(need).is_none() {
            open.extend(needs(need));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_probes_are_split() {
        assert_eq!(split_url("http://127.0.0.1:9000/healthz?x=1"), Some(("127.0.0.1:9000", "/healthz?x=1")));
        assert_eq!(split_url("http://[::1]:80"), Some(("[::1]:80", "/")));
        for bad in [
            "https://a:1/",
            "http://a/",
            "http://:1/",
            "http://u@h:1/",
            "http://a:0/",
            "http://a:1/x y",
            "a:1",
        ] {
            assert_eq!(split_url(bad), None, "{bad}");
        }
    }
}
