//! A queue of questions per user (a lane): one runs, a few wait behind it, and users do not wait for each other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

/// Most waiting questions of one user. Overflow rule: a further one is refused with a message to its sender.
const WAITING: usize = 3;

/// The lanes of all users with a running question.
///
/// Bound: [`WAITING`] questions each; a lane is removed after its last question. The number of lanes is bounded by the messages that a
/// service has in flight.
#[derive(Debug)]
pub(crate) struct Lanes<Q>(Mutex<BTreeMap<String, VecDeque<Q>>>);

/// What to do with a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<Q> {
    /// The lane was empty: the caller runs it, and then asks for the next one.
    Runs(Q),
    /// It waits in the lane.
    Waits,
    /// The lane is full.
    Refused(Q),
}

impl<Q> Default for Lanes<Q> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Q> Lanes<Q> {
    /// Adds a user's question.
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

    /// The user's question is done: returns the next one, or removes the lane.
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
