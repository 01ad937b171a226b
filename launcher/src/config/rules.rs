//! Validation across keys, and of texts with a syntax of their own.

mod alerts;
mod components;
mod groups;
mod schedule;
mod tls;

use std::net::SocketAddr;

use kit::Failure;
use protocol::UserName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::layers::Origins;
use super::misfit;
use super::mistake::Mistake;
use super::secrecy::{TOO_SHORT, is_secret};
use super::settings::Settings;
use super::source::Source;
use crate::catalog::table;
use crate::preflight::mongodb;
use crate::supervisor::LogFormat;

pub(crate) use components::split_url;

/// Its value may contain a password and is not shown.
const STORE_URL: &str = "store.url";

/// All mistakes among settings of the right types.
pub(crate) fn check(settings: &Settings, origins: &Origins) -> Vec<Mistake> {
    let mut found: Vec<(String, String)> = Vec::new();
    found.extend(store(settings));
    found.extend(ports(settings));
    found.extend(tls::check(settings));
    found.extend(sections(settings));
    found.extend(names(settings));
    found.extend(components::check(settings, origins));
    found.extend(limits(settings));
    found.extend(alerts::check(&settings.launcher));
    found.extend(groups::check(settings));
    found.extend(short_secrets(settings));
    let all = serde_json::to_value(settings).expect("settings can be written as JSON");
    found.into_iter().map(|(key, what)| mistake(&all, origins, &key, what)).collect()
}

/// A mistake with its place, and with the value if the operator set one that can be shown.
fn mistake(all: &Value, origins: &Origins, key: &str, what: String) -> Mistake {
    let (source, expansions) = (origins.of(key), origins.expansions(key));
    let what = misfit::hide(what, expansions);
    let given = value_of(all, key).filter(|value| !value.is_object() && source != Source::Default);
    let what = match given.map(|value| misfit::shown(value, expansions)) {
        Some(shown)
            if key != STORE_URL
                && !alerts::SECRET.contains(&key)
                && !what.contains(shown.trim_matches('"')) =>
        {
            format!("{key}: {what}; it is {shown}")
        }
        Some(_) | None => format!("{key}: {what}"),
    };
    Mistake { source, what }
}

fn value_of<'a>(all: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.').try_fold(all, |table, name| table.get(name))
}

/// Secrets that are too short to be masked in logs.
fn short_secrets(settings: &Settings) -> Vec<(String, String)> {
    let is_short = |secret: &str| (1..kit::secret::SHORTEST).contains(&secret.len());
    let password = mongodb::password(&settings.store.url).filter(|password| is_short(password));
    let store = password.map(|_| (STORE_URL.to_owned(), format!("the password in it {TOO_SHORT}")));
    let components = settings.components.iter().flat_map(|(name, component)| {
        let short = component.env.iter().filter(|(name, value)| is_secret(name) && is_short(value));
        short.map(move |(variable, _)| (format!("components.{name}.env"), format!("{variable} {TOO_SHORT}")))
    });
    store.into_iter().chain(components).collect()
}

/// The URL is not shown: it may contain a password.
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
    Some((STORE_URL.to_owned(), what.to_owned()))
}

/// Two components on one address, of which the second would fail to start; and port 0 where clients need a fixed port.
fn ports(settings: &Settings) -> Vec<(String, String)> {
    let listeners = table::listeners(settings);
    let mut found: Vec<(String, String)> = table::client_addresses(settings)
        .into_iter()
        .filter(|(_, address)| address.port() == 0)
        .map(|(key, _)| (key, "port 0 picks a random port that the other components cannot find".to_owned()))
        .collect();
    for (index, (key, address)) in listeners.iter().enumerate() {
        if let Some((other, _)) = listeners[..index].iter().find(|(_, other)| overlap(*other, *address)) {
            found.push((key.clone(), format!("the address {address} is already used by {other}")));
        }
    }
    found
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let wildcard = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || wildcard)
}

/// Two services with one name would disconnect each other.
fn names(settings: &Settings) -> Vec<(String, String)> {
    let (thermometer, bot) = (&settings.thermometer.name, &settings.openai_bot.name);
    let named = [("thermometer.name", thermometer), ("openai-bot.name", bot)];
    let probes =
        named.into_iter().filter(|(_, name)| UserName::parse(name).is_ok_and(|name| name.is_probe()));
    let mut found: Vec<(String, String)> = probes
        .map(|(key, _)| {
            (key.to_owned(), "is reserved for the launcher's probe; choose another name".to_owned())
        })
        .collect();
    if thermometer.to_lowercase() == bot.to_lowercase() {
        found.push(("openai-bot.name".to_owned(), "the same as thermometer.name".to_owned()));
    }
    found
}

/// The components' own validation of their sections.
fn sections(settings: &Settings) -> Vec<(String, String)> {
    let chat = every_complaint("chat-server", &settings.chat_server, chat_server::Config::validate);
    let web = every_complaint("web-adapter", &settings.web_adapter, web_adapter::Config::validate);
    let thermometer = every_complaint("thermometer", &settings.thermometer, thermometer::Config::validate);
    let bot = every_complaint("openai-bot", &settings.openai_bot, openai_bot::Config::validate);
    let lan = every_complaint("lan-peer", &settings.lan_peer, lan_peer::Config::validate);
    [chat, web, thermometer, bot, lan].concat()
}

/// A component reports its first invalid value; to find the next one, that one is reset to its default.
fn every_complaint<T: Default + Serialize + DeserializeOwned>(
    name: &str,
    config: &T,
    validate: impl Fn(&T) -> Result<(), Failure>,
) -> Vec<(String, String)> {
    let as_json = |config: &T| serde_json::to_value(config).expect("a configuration can be written as JSON");
    let (mut value, defaults) = (as_json(config), as_json(&T::default()));
    let mut found: Vec<(String, String)> = Vec::new();
    while let Ok(config) = serde_json::from_value::<T>(value.clone())
        && let Err(failure) = validate(&config)
    {
        let text = failure.to_string();
        let (key, what) = split_complaint(name, &text);
        let full = format!("{name}.{key}");
        let is_new = found.iter().all(|(known, _)| *known != full);
        found.push((full, what.to_owned()));
        match defaults.get(key) {
            Some(default) if is_new => value[key] = default.clone(),
            _ => break,
        }
    }
    found
}

/// Splits `chat-server.quiet must be …` or `thermometer.name: a name …` into the key and the description.
fn split_complaint<'t>(section: &str, text: &'t str) -> (&'t str, &'t str) {
    let Some(rest) = text.strip_prefix(section).and_then(|rest| rest.strip_prefix('.')) else {
        return ("", text);
    };
    let end =
        rest.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
    let (key, what) = rest.split_at(end);
    (key, what.trim_start_matches(':').trim())
}

fn limits(settings: &Settings) -> Vec<(String, String)> {
    let (launcher, logs) = (&settings.launcher, &settings.logs);
    let mut found = Vec::new();
    if logs.split_stderr && logs.format == LogFormat::Raw {
        let what = "raw lines have no place for the mark; set logs.format to \"text\" or \"json\"";
        found.push(("logs.split-stderr".to_owned(), what.to_owned()));
    }
    for (key, zero) in [
        ("launcher.ready-timeout", launcher.ready_timeout.is_zero()),
        ("launcher.stop-grace", launcher.stop_grace.is_zero()),
        ("logs.file-mib", logs.file_mib == 0),
        ("logs.total-mib", logs.total_mib == 0),
    ] {
        if zero {
            found.push((key.to_owned(), "must be greater than zero".to_owned()));
        }
    }
    found
}
