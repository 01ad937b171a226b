//! Presence changes, kept so that a session of any speed can ask for those since it last asked.

use std::collections::{BTreeMap, HashMap};

use protocol::UserName;

/// The number of names whose last change is kept.
const REMEMBERED: usize = 16 * 1024;

/// The last presence change of each name, in order. Several changes of one name between two calls are merged.
///
/// Bound: [`REMEMBERED`]. Overflow rule: the oldest change is forgotten, and a session that asks later misses it.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    latest: u64,
    by_index: BTreeMap<u64, (UserName, bool)>,
    by_name: HashMap<UserName, u64>,
}

impl Presence {
    /// Records that a user came online or went offline.
    pub(crate) fn change(&mut self, name: &UserName, online: bool) {
        self.latest += 1;
        if let Some(earlier) = self.by_name.insert(name.clone(), self.latest) {
            self.by_index.remove(&earlier);
        }
        self.by_index.insert(self.latest, (name.clone(), online));
        if self.by_index.len() > REMEMBERED
            && let Some((_, (name, _))) = self.by_index.pop_first()
        {
            self.by_name.remove(&name);
        }
    }

    /// The index of the last change.
    pub(crate) fn latest(&self) -> u64 {
        self.latest
    }

    /// The first `limit` changes after an index, each with its own index.
    pub(crate) fn since(&self, index: u64, limit: usize) -> Vec<(u64, UserName, bool)> {
        let changes = self.by_index.range(index + 1..).take(limit);
        changes.map(|(index, (name, online))| (*index, name.clone(), *online)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::name;

    #[test]
    fn each_name_comes_once_with_its_last_state() {
        let mut presence = Presence::default();
        presence.change(&name("a"), true);
        let seen = presence.latest();
        for online in [true, false, true] {
            presence.change(&name("b"), online);
        }
        presence.change(&name("a"), false);
        assert_eq!(presence.since(seen, 9), [(4, name("b"), true), (5, name("a"), false)]);
        assert_eq!(presence.since(4, 9), [(5, name("a"), false)]);
        assert_eq!(presence.since(seen, 1).len(), 1);
        assert!(presence.since(presence.latest(), 9).is_empty());
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut presence = Presence::default();
        for n in 0..REMEMBERED + 100 {
            presence.change(&name(&format!("u{n}")), true);
        }
        assert_eq!(presence.by_index.len(), REMEMBERED);
        assert_eq!(presence.by_name.len(), REMEMBERED);
    }
}
