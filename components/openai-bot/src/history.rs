//! The recent turns with each user, which are sent to the model. Held in memory, and loaded from the log for a user's first question after
//! a start; see `recall`.

use std::collections::{BTreeMap, VecDeque};

use protocol::UserName;

use crate::completion::{Message, Role};

/// Most bytes of all texts. Overflow rule: the user who asked least recently is dropped first, then the user's own oldest turns.
const TOTAL_BYTES: usize = 4 * 1024 * 1024;
/// Most bytes of one user's texts, which also bounds the cost of a question.
const USER_BYTES: usize = 48 * 1024;
/// Most users. Overflow rule: as above.
const USERS: usize = 1024;

/// The last turns with each user.
#[derive(Debug)]
pub(crate) struct History {
    turns: usize,
    users: BTreeMap<String, Turns>,
    bytes: usize,
    /// A logical clock for the order of users' questions.
    clock: u64,
}

#[derive(Debug, Default)]
struct Turns {
    turns: VecDeque<Turn>,
    bytes: usize,
    used: u64,
    /// The `seq` of the user's last `forget`: earlier questions are not stored when their answers arrive.
    forgotten: u64,
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    /// The question's `seq`.
    pub(crate) seq: u64,
    pub(crate) question: String,
    pub(crate) answer: String,
}

impl Turn {
    fn bytes(&self) -> usize {
        self.question.len() + self.answer.len()
    }
}

impl History {
    /// Stores this many turns per user.
    pub(crate) fn new(turns: usize) -> Self {
        Self { turns, users: BTreeMap::new(), bytes: 0, clock: 0 }
    }

    /// Whether the user's turns must be loaded from the log.
    pub(crate) fn must_recall(&self, user: &UserName) -> bool {
        self.turns > 0 && !self.users.contains_key(user.key())
    }

    /// The number of turns with a user.
    pub(crate) fn len(&self, user: &UserName) -> usize {
        self.users.get(user.key()).map_or(0, |user| user.turns.len())
    }

    /// The messages to send before a user's next question.
    pub(crate) fn messages(&self, user: &UserName) -> Vec<Message> {
        let turns = self.users.get(user.key()).into_iter().flat_map(|user| &user.turns);
        turns
            .flat_map(|turn| {
                let message = |role, content: &String| Message { role, content: content.clone() };
                [message(Role::User, &turn.question), message(Role::Assistant, &turn.answer)]
            })
            .collect()
    }

    /// Stores a turn unless it is too long or the user sent `forget` since.
    pub(crate) fn add(&mut self, user: &UserName, turn: Turn) {
        let most = self.turns;
        if most == 0 || turn.bytes() > USER_BYTES {
            return;
        }
        let turns = self.user(user);
        if turn.seq <= turns.forgotten {
            return;
        }
        let bytes = turn.bytes();
        turns.bytes += bytes;
        turns.turns.push_back(turn);
        self.bytes += bytes;
        self.drop_oldest(user, |turns| turns.turns.len() > most || turns.bytes > USER_BYTES);
        while self.bytes > TOTAL_BYTES {
            self.drop_least_recent();
        }
    }

    /// Drops all but the newest turns with a user.
    pub(crate) fn keep_newest(&mut self, user: &UserName, count: usize) {
        self.drop_oldest(user, |turns| turns.turns.len() > count);
    }

    /// Drops a user's turns before this `seq`.
    pub(crate) fn forget(&mut self, user: &UserName, seq: u64) {
        let turns = self.user(user);
        turns.forgotten = turns.forgotten.max(seq);
        self.drop_oldest(user, |turns| turns.turns.front().is_some_and(|turn| turn.seq <= seq));
    }

    /// A user's turns, created if missing.
    fn user(&mut self, user: &UserName) -> &mut Turns {
        while self.users.len() >= USERS && !self.users.contains_key(user.key()) {
            self.drop_least_recent();
        }
        self.clock += 1;
        let turns = self.users.entry(user.key().to_owned()).or_default();
        turns.used = self.clock;
        turns
    }

    fn drop_oldest(&mut self, user: &UserName, is_too_much: impl Fn(&Turns) -> bool) {
        let Some(turns) = self.users.get_mut(user.key()) else { return };
        while is_too_much(turns) {
            let Some(turn) = turns.turns.pop_front() else { break };
            turns.bytes -= turn.bytes();
            self.bytes -= turn.bytes();
        }
    }

    fn drop_least_recent(&mut self) {
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

    fn turn(seq: u64, question: &str, answer: &str) -> Turn {
        Turn { seq, question: question.to_owned(), answer: answer.to_owned() }
    }

    #[test]
    fn the_last_turns_are_told_in_order() {
        let mut history = History::new(2);
        for n in 1..=3 {
            history.add(&user(1), turn(n, &format!("q{n}"), &format!("a{n}")));
        }
        let told: Vec<_> = history.messages(&user(1)).into_iter().map(|m| (m.role, m.content)).collect();
        let expected =
            [(Role::User, "q2"), (Role::Assistant, "a2"), (Role::User, "q3"), (Role::Assistant, "a3")];
        assert_eq!(told, expected.map(|(role, text)| (role, text.to_owned())));
        assert!(history.messages(&user(2)).is_empty());
    }

    #[test]
    fn the_least_recent_user_is_dropped_first() {
        let mut history = History::new(2);
        for n in 0..=USERS {
            history.add(&user(n), turn(1, "q", "a"));
        }
        assert!(history.messages(&user(0)).is_empty());
        assert!(!history.messages(&user(1)).is_empty());
    }

    #[test]
    fn what_was_said_before_forget_is_neither_told_nor_remembered_later() {
        let mut history = History::new(5);
        history.add(&user(1), turn(1, "q1", "a1"));
        history.forget(&user(1), 4);
        history.add(&user(1), turn(3, "q3", "its answer comes behind the word"));
        assert_eq!(history.len(&user(1)), 0);
        assert!(!history.must_recall(&user(1)) && history.must_recall(&user(2)));
        for n in 5..9 {
            history.add(&user(1), turn(n, "q", "a"));
        }
        history.keep_newest(&user(1), 2);
        assert_eq!(history.len(&user(1)), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn memory_stays_bounded_and_counted(turns in prop::collection::vec((0usize..200, 0usize..60_000), 0..300)) {
            let mut history = History::new(5);
            for (n, size) in turns {
                history.add(&user(n), turn(1, &"x".repeat(size / 2), &"y".repeat(size / 2)));
                if size % 7 == 0 {
                    history.keep_newest(&user(n / 2), 1);
                    history.forget(&user(n / 3), 0);
                }
                let counted: usize =
                    history.users.values().flat_map(|turns| &turns.turns).map(Turn::bytes).sum();
                prop_assert_eq!(counted, history.bytes);
                prop_assert!(history.bytes <= TOTAL_BYTES && history.users.len() <= USERS);
            }
        }
    }
}
