//! Names that stand for several components: groups, and programs with replicas.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Settings;

/// What each such name stands for.
pub(crate) fn groups(settings: &Settings) -> BTreeMap<String, Vec<String>> {
    let replicated = settings.components.iter().filter(|(_, config)| config.replicas.is_some());
    let replicated = replicated.map(|(name, config)| (name.clone(), config.names(name)));
    let named = settings.launcher.groups.iter();
    named.map(|(name, members)| (name.clone(), expand(settings, members))).chain(replicated).collect()
}

/// The components that these names stand for, each once.
pub(super) fn expand(settings: &Settings, names: &[String]) -> Vec<String> {
    let of = |name: &String| match settings.components.get(name) {
        Some(config) => config.names(name),
        None => vec![name.clone()],
    };
    let mut seen = BTreeSet::new();
    let members = names.iter().flat_map(|name| settings.members(name)).flat_map(of);
    members.filter(|member| seen.insert(member.clone())).collect()
}
