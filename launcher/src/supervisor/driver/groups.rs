//! How many processes each process group has. The kernel has no question for that, so every process is looked at.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A look costs some milliseconds of the control thread where many processes run, and is good for so long: what is shown of it need
/// not be newer.
const GOOD_FOR: Duration = Duration::from_millis(200);

/// The groups as they were a moment ago.
#[derive(Debug, Default)]
pub(super) struct Groups(RefCell<Option<(Instant, BTreeMap<u32, usize>)>>);

impl Groups {
    /// How many processes of a group run.
    pub(super) fn size(&self, group: u32) -> usize {
        let mut seen = self.0.borrow_mut();
        let fresh = seen.take().filter(|(at, _)| at.elapsed() < GOOD_FOR);
        let (_, sizes) = seen.insert(fresh.unwrap_or_else(|| (Instant::now(), sizes())));
        sizes.get(&group).copied().unwrap_or(0)
    }
}

/// How many processes of each group run. Zombies do not.
pub(super) fn sizes() -> BTreeMap<u32, usize> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
    let stats = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    let mut sizes = BTreeMap::new();
    for stat in stats {
        // `pid (name) state ppid pgrp …`, where the name may hold anything; proc_pid_stat(5).
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let mut fields = rest.split(' ');
        let runs = !matches!(fields.next(), Some("Z" | "X"));
        if let Some(group) = fields.nth(1).and_then(|group| group.parse().ok()).filter(|_| runs) {
            *sizes.entry(group).or_default() += 1;
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_group_has_us_in_it() {
        let group = rustix::process::getpgrp().as_raw_nonzero().get().unsigned_abs();
        assert!(Groups::default().size(group) >= 1);
        assert_eq!(Groups::default().size(u32::MAX), 0);
    }
}
