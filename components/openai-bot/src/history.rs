//! What was said before, as far as the model is told: the last turns with each user, in memory only.

use std::collections::{BTreeMap, VecDeque};

use protocol::UserName;

use crate::completion::{Message, Role};

/// All texts together. Overflow rule: the user who asked longest ago is forgotten first, then one's own oldest turns.
const TOTAL_BYTES: usize = 4 * 1024 * 1024;
/// The texts of one user, which also bounds what one question costs.
const USER_BYTES: usize = 48 * 1024;
/// Users remembered. Overflow rule: as above.
const USERS: usize = 1024;

/// The last turns with each user.
#[derive(Debug)]
pub(crate) struct History {
    turns: usize,
    users: BTreeMap<String, Turns>,
    bytes: usize,
    /// Counts up, to tell who asked longest ago.
    clock: u64,
}

#[derive(Debug, Default)]
struct Turns {
    turns: VecDeque<Turn>,
    bytes: usize,
    used: u64,
}

/// A question and its answer.
#[derive(Debug)]
struct Turn {
    question: String,
    answer: String,
}

impl Turn {
    fn bytes(&self) -> usize {
        self.question.len() + self.answer.len()
    }
}

impl History {
    /// Remembers this many turns with each user.
    pub(crate) fn new(turns: usize) -> Self {
        Self { turns, users: BTreeMap::new(), bytes: 0, clock: 0 }
    }

    /// What the model is told before a user's next question.
    pub(crate) fn messages(&self, user: &UserName) -> Vec<Message> {
        let turns = self.users.get(user.key()).into_iter().flat_map(|user| &user.turns);
        turns
            .flat_map(|turn| {
                let message = |role, content: &String| Message { role, content: content.clone() };
                [message(Role::User, &turn.question), message(Role::Assistant, &turn.answer)]
            })
            .collect()
    }

    /// Remembers a turn, if it is not too long to be.
    pub(crate) fn add(&mut self, user: &UserName, question: String, answer: String) {
        let turn = Turn { question, answer };
        if self.turns == 0 || turn.bytes() > USER_BYTES {
            return;
        }
        self.clock += 1;
        let turns = self.users.entry(user.key().to_owned()).or_default();
        turns.used = self.clock;
        turns.bytes += turn.bytes();
        self.bytes += turn.bytes();
        turns.turns.push_back(turn);
        while turns.turns.len() > self.turns || turns.bytes > USER_BYTES {
            let bytes = turns.turns.pop_front().map_or(0, |turn| turn.bytes());
            turns.bytes -= bytes;
            self.bytes -= bytes;
        }
        while self.bytes > TOTAL_BYTES || self.users.len() > USERS {
            self.forget_longest_ago();
        }
    }

    fn forget_longest_ago(&mut self) {
        let oldest = self.users.iter().min_by_key(|(_, turns)| turns.used).map(|(key, _)| key.clone());
        let forgotten = oldest.and_then(|key| self.users.remove(&key));
        self.bytes -= forgotten.map_or(0, |turns| turns.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(n: usize) -> UserName {
        UserName::parse(&format!("user{n}")).unwrap()
    }

    #[test]
    fn the_last_turns_are_told_in_order() {
        let mut history = History::new(2);
        for n in 1..=3 {
            history.add(&user(1), format!("q{n}"), format!("a{n}"));
        }
        let told: Vec<_> = history.messages(&user(1)).into_iter().map(|m| (m.role, m.content)).collect();
        let expected =
            [(Role::User, "q2"), (Role::Assistant, "a2"), (Role::User, "q3"), (Role::Assistant, "a3")];
        assert_eq!(told, expected.map(|(role, text)| (role, text.to_owned())));
        assert!(history.messages(&user(2)).is_empty());
    }

    #[test]
    fn who_asked_longest_ago_is_forgotten_first() {
        let mut history = History::new(2);
        for n in 0..=USERS {
            history.add(&user(n), "q".into(), "a".into());
        }
        assert!(history.messages(&user(0)).is_empty());
        assert!(!history.messages(&user(1)).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn memory_stays_bounded_and_counted(turns in prop::collection::vec((0usize..200, 0usize..60_000), 0..300)) {
            let mut history = History::new(5);
            for (n, size) in turns {
                history.add(&user(n), "x".repeat(size / 2), "y".repeat(size / 2));
                let counted: usize =
                    history.users.values().flat_map(|turns| &turns.turns).map(Turn::bytes).sum();
                prop_assert_eq!(counted, history.bytes);
                prop_assert!(history.bytes <= TOTAL_BYTES && history.users.len() <= USERS);
            }
        }
    }
}
