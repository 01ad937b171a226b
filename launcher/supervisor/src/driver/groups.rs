//! Counts the other processes of each component. The kernel cannot be asked for that, so all processes are listed.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::proc::Table;

/// How long the list is cached: with many processes it takes the control thread a few milliseconds, and a status need not be newer.
const GOOD_FOR: Duration = Duration::from_millis(200);

/// The cached list of processes.
#[derive(Debug, Default)]
pub(super) struct Groups(RefCell<Option<(Instant, Table)>>);

impl Groups {
    /// The number of other processes in the group of a main process or descended from it.
    pub(super) fn others(&self, main: u32) -> usize {
        let mut seen = self.0.borrow_mut();
        let fresh = seen.take().filter(|(at, _)| at.elapsed() < GOOD_FOR);
        let (_, table) = seen.insert(fresh.unwrap_or_else(|| (Instant::now(), Table::read())));
        let group = table.iter().filter(|(_, entry)| entry.group == main).map(|(pid, _)| pid);
        let mut found: BTreeSet<u32> = group.chain([main]).collect();
        table.add_descendants(&mut found);
        found.remove(&main);
        found.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_counts_and_its_parent_does_not() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        assert!(Groups::default().others(std::process::id()) >= 1);
        assert_eq!(Groups::default().others(child.id()), 0);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
