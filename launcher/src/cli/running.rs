//! What the running launcher knows better than the configuration, which may have other values for this command than it had for
//! that one. Where none runs, the configuration is all there is.

use std::net::SocketAddr;
use std::path::PathBuf;

use kit::Failure;

use super::ask::ask;
use super::options::{Where, Without};
use crate::catalog;

/// The directory of the logs: the one named on the command line, or the running launcher's, or the configured one.
pub(super) fn logs(place: &Where) -> Result<PathBuf, Failure> {
    match (&place.logs, ask(place)) {
        (None, Ok(snapshot)) => Ok(snapshot.logs),
        _ => Ok(place.directories()?.logs),
    }
}

/// Whether there is a component of this name, by the running launcher or by the configuration.
pub(super) fn is_component(place: &Where, name: &str) -> bool {
    let is_configured = || {
        let loaded = place.load(&Without::default()).ok();
        loaded.is_some_and(|loaded| loaded.settings.components.contains_key(name))
    };
    catalog::component(name).is_some()
        || ask(place).is_ok_and(|snapshot| snapshot.component(name).is_some())
        || is_configured()
}

/// Where the running chat server can be reached.
pub(super) fn chat_server(place: &Where) -> Option<SocketAddr> {
    ask(place).ok()?.component("chat-server")?.address.as_deref()?.parse().ok()
}

/// Where the running message API can be reached.
pub(super) fn message_api(place: &Where) -> Option<SocketAddr> {
    let snapshot = ask(place).ok()?;
    let address = snapshot.component("message-api")?.address.as_deref()?;
    address.strip_prefix("http://")?.parse().ok()
}
