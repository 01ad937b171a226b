//! What runs a component, or runs it anew, beside the operator: the clock, and a file that has changed.

use super::Driver;
use super::files::Touched;
use crate::machine::Event;

impl Driver {
    /// Whatever is due begins.
    pub(super) fn on_due(&mut self) -> bool {
        let mut finished = false;
        for name in self.schedules.due() {
            finished |= self.feed(Event::Due { name });
        }
        finished
    }

    /// A file of a component has changed.
    pub(super) fn on_touched(&mut self, Touched { name, path }: Touched) -> bool {
        let here = std::env::current_dir().unwrap_or_default();
        let shown = path.strip_prefix(&here).unwrap_or(&path).display();
        self.feed(Event::Touched { name, why: format!("{shown} has changed") })
    }
}
