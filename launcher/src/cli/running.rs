//! What the running launcher reports, which may differ from the configuration that this command reads. Without a running launcher the
//! configuration is used.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use kit::Failure;

use super::ask::ask;
use super::options::{Where, Without};
use crate::catalog;
use crate::config::Settings;

/// The log directory: the one on the command line, or the running launcher's, or the configured one.
pub(super) fn logs(place: &Where) -> Result<PathBuf, Failure> {
    match (&place.logs, ask(place)) {
        (None, Ok(snapshot)) => Ok(snapshot.logs),
        _ => Ok(place.directories()?.logs),
    }
}

/// Whether a component of this name exists, in the running launcher or in the configuration.
pub(super) fn is_component(place: &Where, name: &str) -> bool {
    let is_configured = || {
        let loaded = place.load(&Without::default()).ok();
        loaded.is_some_and(|loaded| {
            let components = loaded.settings.components.iter();
            components.flat_map(|(base, config)| config.names(base)).any(|known| known == name)
        })
    };
    catalog::component(name).is_some()
        || ask(place).is_ok_and(|snapshot| snapshot.component(name).is_some())
        || is_configured()
}

/// These names, with what a group or a program with replicas stands for in its place: by the running launcher, or else by the
/// configuration.
pub(super) fn expanded(place: &Where, names: &[String]) -> Vec<String> {
    let groups = groups(place);
    names.iter().flat_map(|name| groups.get(name).cloned().unwrap_or_else(|| vec![name.clone()])).collect()
}

/// The components that this name stands for, if it is that of a group or a program with replicas.
pub(super) fn group(place: &Where, name: &str) -> Option<Vec<String>> {
    groups(place).remove(name)
}

fn groups(place: &Where) -> BTreeMap<String, Vec<String>> {
    match ask(place) {
        Ok(snapshot) => snapshot.groups,
        Err(_) => place
            .load(&Without::default())
            .map(|loaded| catalog::groups(&loaded.settings))
            .unwrap_or_default(),
    }
}

/// Every name that commands take: of components, of groups and programs with replicas, and `all`.
pub(super) fn names(place: &Where) -> Vec<String> {
    let (components, groups): (Vec<String>, _) = match (ask(place), place.load(&Without::default())) {
        (Ok(snapshot), _) => {
            (snapshot.components.into_iter().map(|component| component.name).collect(), snapshot.groups)
        }
        (Err(_), Ok(loaded)) => {
            let programs = loaded.settings.components.iter();
            let programs = programs.filter(|(name, _)| catalog::component(name).is_none());
            let programs = programs.flat_map(|(name, config)| config.names(name));
            let own = catalog::names().map(str::to_owned);
            (own.chain(programs).collect(), catalog::groups(&loaded.settings))
        }
        (Err(_), Err(_)) => (catalog::names().map(str::to_owned).collect(), BTreeMap::new()),
    };
    components.into_iter().chain(groups.into_keys()).chain(["all".to_owned()]).collect()
}

/// Where the chat server can be reached: the running one, or the configured one.
pub(super) fn chat_server(place: &Where) -> Result<SocketAddr, Failure> {
    found_or(place, "chat-server", catalog::chat_address)
}

/// Where the chat server speaks TLS, by the configuration.
pub(super) fn tls_chat_server(place: &Where) -> Result<SocketAddr, Failure> {
    let listen = place.load(&Without::default())?.settings.chat_server.tls_listen;
    listen.map(kit::listen::reachable).ok_or_else(|| {
        let what = "this machine's chat server has no port with TLS: set chat-server.tls-listen, or name another with --server";
        Failure::new(kit::Exit::Config, what)
    })
}

/// The address of the message API.
pub(super) fn message_api(place: &Where) -> Result<SocketAddr, Failure> {
    found_or(place, "message-api", |settings| kit::listen::reachable(settings.message_api.listen))
}

/// The address of the lan-peer.
pub(super) fn lan_peer(place: &Where) -> Result<SocketAddr, Failure> {
    found_or(place, "lan-peer", |settings| settings.lan_peer.listen)
}

/// The address of a component of the running launcher. The configuration is read only without one: it may differ from the launcher's, or be
/// invalid.
fn found_or(
    place: &Where,
    component: &str,
    configured: impl Fn(&Settings) -> SocketAddr,
) -> Result<SocketAddr, Failure> {
    let running = ask(place).ok().and_then(|snapshot| snapshot.address_of(component));
    running.map_or_else(|| Ok(configured(&place.load(&Without::default())?.settings)), Ok)
}
