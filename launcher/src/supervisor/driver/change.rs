//! What others are told of.

use crate::supervisor::events::{Ended, Moment};
use crate::supervisor::status::State;

/// A process that has ended, and whose.
pub(super) struct Burial {
    pub(super) name: String,
    pub(super) pid: u32,
    pub(super) ended: Ended,
}

/// A component's change of state.
pub(super) struct Change {
    /// When it was decided; doing it, and telling of others, may have taken a while.
    pub(super) at: Moment,
    pub(super) name: String,
    pub(super) epoch: u64,
    pub(super) from: State,
    pub(super) to: State,
    pub(super) why: String,
}
