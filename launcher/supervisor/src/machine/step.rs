//! A step of the machine.

use std::time::Instant;

use super::{Action, Event, Machine};

impl Machine {
    /// The actions for an event.
    pub(crate) fn step(&mut self, now: Instant, event: Event) -> Vec<Action> {
        #[cfg(debug_assertions)]
        let oracle = super::oracle::Oracle::before(self, &event);
        let mut out = Vec::new();
        self.take(now, event, &mut out);
        self.advance(now, &mut out);
        #[cfg(debug_assertions)]
        oracle.check(self, &out);
        out
    }
}
