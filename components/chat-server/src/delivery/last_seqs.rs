//! The last `seq` of many conversations, in bounded memory.

use std::collections::HashMap;

use protocol::ConversationId;

/// The last `seq` by conversation.
///
/// Bound: two generations of `capacity` conversations each. Overflow rule: when the young generation is full it replaces the old one, whose
/// other entries are forgotten; so the conversations that moved last are always known. Boxed, because those of most sessions are empty.
#[derive(Debug)]
pub(crate) struct LastSeqs {
    generations: Option<Box<Generations>>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<ConversationId, u64>,
    old: HashMap<ConversationId, u64>,
}

impl LastSeqs {
    /// An empty map, which allocates nothing yet.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { generations: None, capacity }
    }

    /// The last `seq` of a conversation, if known.
    pub(crate) fn get(&self, conversation: &ConversationId) -> Option<u64> {
        let Generations { young, old } = self.generations.as_deref()?;
        young.get(conversation).or_else(|| old.get(conversation)).copied()
    }

    /// Records that a conversation has reached this `seq`.
    pub(crate) fn advance(&mut self, conversation: &ConversationId, seq: u64) {
        let Generations { young, old } = &mut **self.generations.get_or_insert_default();
        if let Some(known) = young.get_mut(conversation) {
            *known = seq.max(*known);
            return;
        }
        let seq = old.get(conversation).map_or(seq, |known| seq.max(*known));
        if young.len() >= self.capacity {
            *old = std::mem::take(young);
        }
        young.insert(conversation.clone(), seq);
    }

    /// All known conversations; some may appear twice, the valid entry last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ConversationId, u64)> {
        self.generations
            .as_deref()
            .into_iter()
            .flat_map(|seqs: &Generations| seqs.old.iter().chain(&seqs.young))
            .map(|(conversation, seq)| (conversation, *seq))
    }

    /// Forgets everything and releases the memory.
    pub(crate) fn clear(&mut self) {
        self.generations = None;
    }
}

/// [`LastSeqs`] per direction: own messages and incoming ones are tracked separately. The store's unread pages omit the user's own
/// messages, so having been sent a later incoming message does not imply having been sent those.
#[derive(Debug)]
pub(crate) struct LastSeqsByDirection {
    others: LastSeqs,
    own: LastSeqs,
}

impl LastSeqsByDirection {
    /// An empty map.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { others: LastSeqs::new(capacity), own: LastSeqs::new(capacity) }
    }

    fn fence(&self, own: bool) -> &LastSeqs {
        if own { &self.own } else { &self.others }
    }

    /// The last `seq` of one direction of a conversation, if known.
    pub(crate) fn get(&self, conversation: &ConversationId, own: bool) -> Option<u64> {
        self.fence(own).get(conversation)
    }

    /// Records that one direction of a conversation has reached this `seq`.
    pub(crate) fn advance(&mut self, conversation: &ConversationId, seq: u64, own: bool) {
        if own { &mut self.own } else { &mut self.others }.advance(conversation, seq);
    }

    /// All known conversations with their direction; some may appear twice, the valid entry last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ConversationId, u64, bool)> {
        let fence = |own| self.fence(own).iter().map(move |(conversation, seq)| (conversation, seq, own));
        fence(false).chain(fence(true))
    }

    /// Forgets everything and releases the memory.
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
        let mut last_seqs = LastSeqs::new(10);
        for n in 0..1000 {
            last_seqs.advance(&dm(n), 5);
            last_seqs.advance(&dm(n), 3);
            assert_eq!(last_seqs.get(&dm(n)), Some(5));
            assert!(last_seqs.iter().count() <= 20);
        }
        assert!((990..1000).all(|n| last_seqs.get(&dm(n)) == Some(5)));
        assert_eq!(last_seqs.get(&dm(0)), None);
    }

    #[test]
    fn what_the_old_generation_knew_is_not_taken_back() {
        let mut last_seqs = LastSeqs::new(1);
        last_seqs.advance(&dm(1), 9);
        last_seqs.advance(&dm(2), 1);
        last_seqs.advance(&dm(1), 4);
        assert_eq!(last_seqs.get(&dm(1)), Some(9));
    }
}
