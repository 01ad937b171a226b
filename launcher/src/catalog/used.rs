//! What of the catalog really runs.

use std::net::SocketAddr;

use super::component::Component;
use super::table::{components, own_listener};
use crate::config::Loaded;

/// The addresses of what is really started: not of what is left out, nor of what a program of the operator's replaces.
#[must_use]
pub fn used_listeners(loaded: &Loaded) -> Vec<(String, SocketAddr)> {
    let ours = |component: &&Component| {
        !loaded.settings.commands.contains_key(component.name) && left_out(component, loaded).is_none()
    };
    let components = components().filter(ours).flat_map(|component| component.listeners(&loaded.settings));
    components.chain(own_listener(&loaded.settings)).collect()
}

/// Where to look once everything runs: a word, and what to type or open.
#[must_use]
pub fn where_to_look(loaded: &Loaded) -> Vec<(&'static str, String)> {
    let runs = |component: &&Component| left_out(component, loaded).is_none();
    components().filter(runs).filter_map(|component| (component.look)(&loaded.settings)).collect()
}

/// Why a component does not run, if it does not.
pub(super) fn left_out(component: &Component, loaded: &Loaded) -> Option<String> {
    let flag = component.flag.filter(|flag| loaded.without.contains(flag));
    flag.map(|flag| format!("left out by {flag}"))
        .or_else(|| (component.left_out)(&loaded.settings, loaded.api_key.is_some()))
}
