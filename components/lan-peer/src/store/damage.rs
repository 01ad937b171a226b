//! What cannot be read.

use std::sync::Arc;

use kit::metrics::Counter;

/// Rows that the disk or somebody's hand has damaged: each is passed over, so that the others go on. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Damage(Arc<Counter>);

impl Damage {
    /// Counts one, and says which.
    pub(super) fn note(&self, what: &str, which: &dyn std::fmt::Display) {
        self.0.add(1);
        tracing::warn!("the {what} in row {which} of lan-peer.db is damaged; skipping it");
    }

    /// How often one was met.
    pub(crate) fn counter(&self) -> &Counter {
        &self.0
    }
}
