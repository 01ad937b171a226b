//! The enabled components.

use std::net::SocketAddr;

use super::component::Component;
use super::table::{components, own_listeners};
use crate::config::Loaded;

/// The addresses that will be listened on: not those of disabled components, or of ones replaced by another program.
#[must_use]
pub fn used_listeners(loaded: &Loaded) -> Vec<(String, SocketAddr)> {
    let ours = |component: &&Component| {
        !loaded.settings.commands.contains_key(component.name) && disabled_reason(component, loaded).is_none()
    };
    let components = components().filter(ours).flat_map(|component| component.listeners(&loaded.settings));
    components.chain(own_listeners(&loaded.settings)).collect()
}

/// How to use the enabled components: a word, and what to type or open.
#[must_use]
pub fn usage_hints(loaded: &Loaded) -> Vec<(&'static str, String)> {
    let runs = |component: &&Component| disabled_reason(component, loaded).is_none();
    components().filter(runs).filter_map(|component| (component.usage_hint)(&loaded.settings)).collect()
}

/// Why a component is disabled, if it is.
pub(super) fn disabled_reason(component: &Component, loaded: &Loaded) -> Option<String> {
    let flag = component.flag.filter(|flag| loaded.without.contains(flag));
    flag.map(|flag| format!("left out by {flag}"))
        .or_else(|| (component.disabled_reason)(&loaded.settings, loaded.api_key.is_some()))
}
