//! The events that observers are told of.

use crate::events::{Ended, Moment};
use crate::status::State;

/// A component's process that has ended.
pub(super) struct ReapedProcess {
    pub(super) name: String,
    pub(super) pid: u32,
    pub(super) ended: Ended,
}

/// A component's change of state.
pub(super) struct Change {
    /// The time of the decision; carrying it out and reporting it may be later.
    pub(super) at: Moment,
    pub(super) name: String,
    pub(super) epoch: u64,
    pub(super) from: State,
    pub(super) to: State,
    pub(super) why: String,
}
