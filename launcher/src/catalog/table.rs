//! All entries, and access by name.

use std::net::SocketAddr;

use super::component::Component;
use super::entries;
use crate::config::Settings;
use crate::supervisor::ConsoleAddress;

/// Names with another meaning where a component's name is expected.
const RESERVED: [&str; 4] = ["mongodb", "config", "launcher", "all"];

/// The names of all components.
pub fn names() -> impl Iterator<Item = &'static str> {
    entries::COMPONENTS.iter().map(|component| component.name)
}

/// All components, in start order.
pub fn components() -> impl Iterator<Item = &'static Component> {
    entries::COMPONENTS.iter()
}

/// The component with this name.
#[must_use]
pub fn component(name: &str) -> Option<&'static Component> {
    components().find(|component| component.name == name)
}

/// Every address that we listen on, with its key.
#[must_use]
pub fn listeners(settings: &Settings) -> Vec<(String, SocketAddr)> {
    let components = components().flat_map(|component| component.listeners(settings));
    components.chain(own_listeners(settings)).collect()
}

/// The addresses at which components connect to each other.
#[must_use]
pub(crate) fn client_addresses(settings: &Settings) -> Vec<(String, SocketAddr)> {
    let is_needed = |name: &str| components().any(|component| component.needs.contains(&name));
    let needed = components().filter(|component| is_needed(component.name));
    let listeners = needed.flat_map(|component| component.listeners(settings));
    listeners.filter(|(key, _)| key.ends_with(".listen")).collect()
}

/// Whether a component can be probed with a message.
#[must_use]
pub(crate) fn has_message_probe(name: &str) -> bool {
    component(name).is_some_and(|component| component.message.is_some())
}

/// Whether a name is reserved.
#[must_use]
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// The launcher's own addresses.
pub(super) fn own_listeners(settings: &Settings) -> impl Iterator<Item = (String, SocketAddr)> {
    let launcher = &settings.launcher;
    let console = launcher.console_listen.as_ref().and_then(ConsoleAddress::tcp);
    let own = [("launcher.metrics-listen", launcher.metrics_listen), ("launcher.console-listen", console)];
    own.into_iter().filter_map(|(key, address)| Some((key.to_owned(), address?)))
}
