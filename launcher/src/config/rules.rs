//! What no single key can get wrong: settings that contradict each other, and texts that are more than texts.

use std::net::SocketAddr;

use super::layers::Origins;
use super::mistake::Mistake;
use super::settings::Settings;
use crate::catalog;

/// Everything that is wrong among settings whose types are right.
pub(crate) fn check(settings: &Settings, origins: &Origins) -> Vec<Mistake> {
    let mut found: Vec<(String, String)> = Vec::new();
    found.extend(store(settings));
    found.extend(ports(settings));
    found.extend(names(settings));
    found.extend(services(settings));
    found.extend(limits(settings));
    let place =
        |(key, what): (String, String)| Mistake { source: origins.of(&key), what: format!("{key}: {what}") };
    found.into_iter().map(place).collect()
}

/// The URL itself is not shown: it may hold a password.
fn store(settings: &Settings) -> Option<(String, String)> {
    let url = settings.store.url.as_str();
    let what = if url.starts_with("mongodb+srv://") {
        "mongodb+srv:// is not supported; name the hosts: mongodb://host1,host2/?replicaSet=NAME&tls=true"
    } else if url.strip_prefix("mongodb://").is_some_and(|rest| !rest.is_empty())
        || url.strip_prefix("sqlite:").is_some_and(|file| !file.is_empty())
    {
        return None;
    } else {
        "must be sqlite:FILE or mongodb://HOST:PORT"
    };
    Some(("store.url".to_owned(), what.to_owned()))
}

/// Two that listen on one address: the second would only fail later. Port 0 is as many ports as one likes.
fn ports(settings: &Settings) -> Vec<(String, String)> {
    let listeners = catalog::listeners(settings);
    let mut found = Vec::new();
    for (index, (key, address)) in listeners.iter().enumerate() {
        if let Some((other, _)) = listeners[..index].iter().find(|(_, other)| overlap(*other, *address)) {
            found.push((key.clone(), format!("the address {address} is that of {other}, too")));
        }
    }
    found
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let wildcard = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || wildcard)
}

fn names(settings: &Settings) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let named =
        [("thermometer.name", &settings.thermometer.name), ("openai-bot.name", &settings.openai_bot.name)];
    for (key, name) in named {
        if let Err(error) = catalog::reserved_name(name) {
            found.push((key.to_owned(), error));
        }
    }
    if settings.thermometer.name.eq_ignore_ascii_case(&settings.openai_bot.name) {
        found.push(("openai-bot.name".to_owned(), "the same as thermometer.name".to_owned()));
    }
    found
}

fn services(settings: &Settings) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, service) in &settings.services {
        if service.command.first().is_none_or(String::is_empty) {
            let what = "names no program; write command = [\"program\", \"argument\"]".to_owned();
            found.push((format!("services.{name}.command"), what));
        }
        let known = |need: &&String| {
            catalog::names().any(|known| known == need.as_str()) || settings.services.contains_key(*need)
        };
        for need in service.needs.iter().filter(|need| !known(need)) {
            found.push((format!("services.{name}.needs"), format!("there is nothing called '{need}'")));
        }
        if needs_itself(settings, name) {
            found.push((format!("services.{name}.needs"), "needs itself, if by a detour".to_owned()));
        }
    }
    found
}

fn needs_itself(settings: &Settings, name: &str) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    let mut open: Vec<&String> = settings.services.get(name).map_or(Vec::new(), |s| s.needs.iter().collect());
    while let Some(need) = open.pop() {
        if need == name {
            return true;
        }
        if seen.insert(need) {
            open.extend(settings.services.get(need).into_iter().flat_map(|service| &service.needs));
        }
    }
    false
}

fn limits(settings: &Settings) -> Vec<(String, String)> {
    let launcher = &settings.launcher;
    let mut found = Vec::new();
    for (key, zero) in [
        ("ready-timeout", launcher.ready_timeout.is_zero()),
        ("stop-grace", launcher.stop_grace.is_zero()),
        ("log-file-mib", launcher.log_file_mib == 0),
        ("log-total-mib", launcher.log_total_mib == 0),
    ] {
        if zero {
            found.push((format!("launcher.{key}"), "must be more than nothing".to_owned()));
        }
    }
    found
}
