//! Replaces the plan.

use std::collections::BTreeSet;
use std::time::Instant;

use super::skip::skip_dependents;
use super::{Action, Component, Machine};
use crate::control::ReloadSummary;
use crate::graph::Graph;
use crate::spec::{ComponentSpec, Launch};

impl Machine {
    /// The effect of a new plan.
    pub(crate) fn compare(&self, components: &[ComponentSpec]) -> ReloadSummary {
        let mut summary = ReloadSummary::default();
        for spec in components {
            let skipped = matches!(spec.launch, Launch::Skip { .. });
            let list = match self.components.get(&spec.name) {
                None if skipped || !spec.autostart => &mut summary.kept,
                None => &mut summary.started,
                Some(old) => match (matches!(old.spec.launch, Launch::Skip { .. }), skipped) {
                    (true, true) => &mut summary.kept,
                    (true, false) if !spec.autostart => &mut summary.changed,
                    (true, false) => &mut summary.started,
                    (false, true) => &mut summary.stopped,
                    (false, false) if old.spec == *spec => &mut summary.kept,
                    (false, false) if old.spec.config_digest == spec.config_digest || old.stays_down() => {
                        &mut summary.changed
                    }
                    (false, false) => &mut summary.restarted,
                },
            };
            list.push(spec.name.clone());
        }
        let gone = self.components.keys().filter(|name| !components.iter().any(|spec| spec.name == **name));
        summary.stopped.extend(gone.cloned());
        summary
    }

    pub(super) fn on_replace(
        &mut self,
        now: Instant,
        components: Vec<ComponentSpec>,
        dependencies: &[String],
        graph: Graph,
        out: &mut Vec<Action>,
    ) {
        if self.is_quitting() {
            return;
        }
        let old = std::mem::take(&mut self.dependencies);
        let known = |name: &String| (name.clone(), old.get(name).copied().unwrap_or(false));
        self.dependencies = dependencies.iter().map(known).collect();
        let wanted: BTreeSet<String> = components.iter().map(|spec| spec.name.clone()).collect();
        for spec in skip_dependents(components, &graph) {
            match self.components.get_mut(&spec.name) {
                Some(component) => component.replace(now, spec, out),
                None => {
                    let new = Component::new(now, spec);
                    let (name, state) = (new.spec.name.clone(), new.state());
                    let why = "new in the configuration".to_owned();
                    out.push(Action::Changed { name: name.clone(), epoch: 0, from: state, to: state, why });
                    self.components.insert(name, new);
                }
            }
        }
        self.graph = graph;
        for (name, component) in &mut self.components {
            if !wanted.contains(name) && !component.retired {
                component.retired = true;
                component.retire(now, out);
            }
        }
    }
}
