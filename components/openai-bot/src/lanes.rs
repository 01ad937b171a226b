//! One lane for each user: a question runs, a few wait behind it, and nobody waits for somebody else's.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

/// Questions of one user that wait behind the one that runs. Overflow rule: one more is refused with a word to its sender.
const WAITING: usize = 3;

/// The lanes of everybody who has a question running.
///
/// Bound: [`WAITING`] questions for each; a lane is gone when its last question is done. How many lanes there are is bounded by
/// the messages a service has under way.
#[derive(Debug)]
pub(crate) struct Lanes<Q>(Mutex<BTreeMap<String, VecDeque<Q>>>);

/// Where a question stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<Q> {
    /// It is the user's only one: the caller runs it, and then asks for the next one.
    Runs(Q),
    /// It will be the next one in its turn.
    Waits,
    /// There are too many.
    Refused(Q),
}

impl<Q> Default for Lanes<Q> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Q> Lanes<Q> {
    /// A user asks.
    pub(crate) fn enter(&self, user: &str, question: Q) -> Place<Q> {
        let mut lanes = self.lanes();
        match lanes.get_mut(user) {
            None => {
                lanes.insert(user.to_owned(), VecDeque::new());
                Place::Runs(question)
            }
            Some(waiting) if waiting.len() < WAITING => {
                waiting.push_back(question);
                Place::Waits
            }
            Some(_) => Place::Refused(question),
        }
    }

    /// The user's question is done: the one behind it, or the end of the lane.
    pub(crate) fn next(&self, user: &str) -> Option<Q> {
        let mut lanes = self.lanes();
        let next = lanes.get_mut(user).and_then(VecDeque::pop_front);
        if next.is_none() {
            lanes.remove(user);
        }
        next
    }

    fn lanes(&self) -> MutexGuard<'_, BTreeMap<String, VecDeque<Q>>> {
        self.0.lock().expect("nobody panics while holding this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_runs_three_wait_and_the_fifth_is_refused() {
        let lanes = Lanes::default();
        assert_eq!(lanes.enter("alice", 1), Place::Runs(1));
        for n in 2..=4 {
            assert_eq!(lanes.enter("alice", n), Place::Waits);
        }
        assert_eq!(lanes.enter("alice", 5), Place::Refused(5));
        assert_eq!(lanes.enter("bob", 1), Place::Runs(1));
        assert_eq!(lanes.next("alice"), Some(2));
        assert_eq!(lanes.enter("alice", 6), Place::Waits);
        assert_eq!(
            [lanes.next("alice"), lanes.next("alice"), lanes.next("alice")],
            [Some(3), Some(4), Some(6)]
        );
        assert_eq!(lanes.next("alice"), None);
        assert_eq!(lanes.enter("alice", 7), Place::Runs(7));
    }
}
