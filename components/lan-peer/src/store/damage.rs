//! Damaged rows.

use std::sync::Arc;

use kit::metrics::Counter;

/// Counts damaged rows, which are skipped so that the others stay usable. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Damage(Arc<Counter>);

impl Damage {
    /// Counts and logs a damaged row.
    pub(super) fn note(&self, what: &str, which: &dyn std::fmt::Display) {
        self.0.add(1);
        tracing::warn!("the {what} in row {which} of lan-peer.db is damaged; skipping it");
    }

    /// The number of damaged rows found.
    pub(crate) fn counter(&self) -> &Counter {
        &self.0
    }
}
