//! How far each of many conversations has come, in bounded memory.

use std::collections::HashMap;

use protocol::ConversationId;

/// The last `seq` by conversation.
///
/// Bound: two generations of `capacity` conversations each. Overflow rule: when the young generation is full it becomes the old
/// one, and what only the old one knew is forgotten; so those that moved last are always known.
#[derive(Debug)]
pub(crate) struct Positions {
    young: HashMap<ConversationId, u64>,
    old: HashMap<ConversationId, u64>,
    capacity: usize,
}

impl Positions {
    /// Nothing is known yet.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), capacity }
    }

    /// How far a conversation has come, as far as is known.
    pub(crate) fn get(&self, conversation: &ConversationId) -> Option<u64> {
        self.young.get(conversation).or_else(|| self.old.get(conversation)).copied()
    }

    /// A conversation has come this far, or farther.
    pub(crate) fn advance(&mut self, conversation: &ConversationId, seq: u64) {
        if let Some(known) = self.young.get_mut(conversation) {
            *known = seq.max(*known);
            return;
        }
        let seq = self.old.get(conversation).map_or(seq, |known| seq.max(*known));
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(conversation.clone(), seq);
    }

    /// Every conversation known; some may come twice, the right one last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ConversationId, u64)> {
        self.old.iter().chain(&self.young).map(|(conversation, seq)| (conversation, *seq))
    }

    /// Forgets everything and gives the memory back.
    pub(crate) fn clear(&mut self) {
        self.young = HashMap::new();
        self.old = HashMap::new();
    }
}

/// The same for the user's own messages and for those of others apart: the store's unseen pages leave the user's own out, so having
/// been sent a later message of the other user does not mean having been sent them.
#[derive(Debug)]
pub(crate) struct Lanes {
    others: Positions,
    own: Positions,
}

impl Lanes {
    /// Nothing is known yet.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { others: Positions::new(capacity), own: Positions::new(capacity) }
    }

    fn lane(&self, own: bool) -> &Positions {
        if own { &self.own } else { &self.others }
    }

    /// How far a lane of a conversation has come, as far as is known.
    pub(crate) fn get(&self, conversation: &ConversationId, own: bool) -> Option<u64> {
        self.lane(own).get(conversation)
    }

    /// A lane of a conversation has come this far, or farther.
    pub(crate) fn advance(&mut self, conversation: &ConversationId, seq: u64, own: bool) {
        if own { &mut self.own } else { &mut self.others }.advance(conversation, seq);
    }

    /// Every conversation known, with its lane; some may come twice, the right one last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ConversationId, u64, bool)> {
        let lane = |own| self.lane(own).iter().map(move |(conversation, seq)| (conversation, seq, own));
        lane(false).chain(lane(true))
    }

    /// Forgets everything and gives the memory back.
    pub(crate) fn clear(&mut self) {
        self.others.clear();
        self.own.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::UserName;

    fn dm(n: usize) -> ConversationId {
        ConversationId::dm(&UserName::parse("a").unwrap(), &UserName::parse(&format!("b{n}")).unwrap())
    }

    #[test]
    fn the_latest_are_known_and_the_memory_is_bounded() {
        let mut positions = Positions::new(10);
        for n in 0..1000 {
            positions.advance(&dm(n), 5);
            positions.advance(&dm(n), 3);
            assert_eq!(positions.get(&dm(n)), Some(5));
            assert!(positions.iter().count() <= 20);
        }
        assert!((990..1000).all(|n| positions.get(&dm(n)) == Some(5)));
        assert_eq!(positions.get(&dm(0)), None);
    }

    #[test]
    fn what_the_old_generation_knew_is_not_taken_back() {
        let mut positions = Positions::new(1);
        positions.advance(&dm(1), 9);
        positions.advance(&dm(2), 1);
        positions.advance(&dm(1), 4);
        assert_eq!(positions.get(&dm(1)), Some(9));
    }
}
