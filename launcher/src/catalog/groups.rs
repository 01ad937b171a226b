//! Names that stand for several components: groups, and programs with replicas.

use std::collections::BTreeMap;

use crate::config::Settings;

/// What each such name stands for.
pub(crate) fn groups(settings: &Settings) -> BTreeMap<String, Vec<String>> {
    let replicated = settings.components.iter().filter(|(_, config)| config.replicas.is_some());
    let replicated = replicated.map(|(name, config)| (name.clone(), config.names(name)));
    let named = settings.launcher.groups.iter();
    named.map(|(name, members)| (name.clone(), expand(settings, members))).chain(replicated).collect()
}

/// The components that these names stand for.
pub(super) fn expand(settings: &Settings, names: &[String]) -> Vec<String> {
    let of = |name: &String| match settings.components.get(name) {
        Some(config) => config.names(name),
        None => vec![name.clone()],
    };
    names.iter().flat_map(of).collect()
}
