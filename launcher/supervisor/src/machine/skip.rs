//! Components that are not part of this run.

use std::collections::BTreeSet;

use crate::graph::Graph;
use crate::spec::{ComponentSpec, Launch};

/// Skips the dependents of skipped components.
pub(super) fn skip_dependents(mut components: Vec<ComponentSpec>, graph: &Graph) -> Vec<ComponentSpec> {
    let mut skipped: BTreeSet<String> = BTreeSet::new();
    for name in graph.start_order() {
        let Some(spec) = components.iter_mut().find(|spec| spec.name == *name) else { continue };
        if let Some(need) = spec.needs.iter().find(|need| skipped.contains(*need)) {
            spec.launch = match &spec.launch {
                Launch::Command { .. } => Launch::Skip { reason: format!("needs {need}, which is disabled") },
                Launch::Skip { reason } => Launch::Skip { reason: reason.clone() },
            };
        }
        if matches!(spec.launch, Launch::Skip { .. }) {
            skipped.insert(name.clone());
        }
    }
    components
}
