//! What runs a component beside the operator: the clock.

use super::Driver;
use crate::supervisor::machine::Event;

impl Driver {
    /// Whatever is due begins.
    pub(super) fn on_due(&mut self) -> bool {
        let mut finished = false;
        for name in self.schedules.due() {
            finished |= self.feed(Event::Due { name });
        }
        finished
    }
}
