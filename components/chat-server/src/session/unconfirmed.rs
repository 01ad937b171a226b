//! Events that were sent to a peer and are not yet confirmed. Confirming them moves the cursors of sessions without explicit receipts.
//!
//! The life of an entry: an event's last byte is put into the output buffer at an offset of the connection → the peer's TCP acknowledges
//! that offset → the entry is removed and the cursor moved.

use std::collections::{BTreeMap, VecDeque};

use protocol::ConversationId;

/// With more entries, an event replaces a preceding one of the same conversation, so that one busy conversation costs little.
const COALESCE_ABOVE: usize = 256;
/// More events than usually fit into the kernel's send buffer.
const LIMIT: usize = 4096;

/// Events sent and not confirmed, in the order they were sent.
///
/// Bound: [`LIMIT`]. Overflow rule: while [`Unconfirmed::is_full`], the session takes no further event from its inbox.
#[derive(Debug, Default)]
pub(crate) struct Unconfirmed(VecDeque<SentEvent>);

#[derive(Debug)]
struct SentEvent {
    end: u64,
    conversation: ConversationId,
    seq: u64,
}

impl Unconfirmed {
    /// Adds an event that ends at this offset of the connection's output.
    pub(crate) fn add(&mut self, end: u64, conversation: &ConversationId, seq: u64) {
        let coalesce = self.0.len() > COALESCE_ABOVE;
        match self.0.back_mut() {
            Some(last) if coalesce && last.conversation == *conversation => (last.end, last.seq) = (end, seq),
            Some(_) | None => self.0.push_back(SentEvent { end, conversation: conversation.clone(), seq }),
        }
    }

    /// The peer has everything up to this offset: removes those events, and returns how far each conversation is confirmed.
    pub(crate) fn confirm(&mut self, offset: u64) -> BTreeMap<ConversationId, u64> {
        let confirmed = self.0.partition_point(|mark| mark.end <= offset);
        let confirmed = self.0.drain(..confirmed).map(|mark| (mark.conversation, mark.seq)).collect();
        if self.0.is_empty() {
            self.0.shrink_to(8);
        }
        confirmed
    }

    /// Forgets the oldest event: its conversation's cursor moves with a later one, or not at all.
    pub(crate) fn forget_oldest(&mut self) {
        self.0.pop_front();
    }

    /// The unconfirmed events.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ConversationId, u64)> {
        self.0.iter().map(|mark| (&mark.conversation, mark.seq))
    }

    /// Whether everything is confirmed.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the next confirmation should come soon.
    pub(crate) fn is_half_full(&self) -> bool {
        self.0.len() >= LIMIT / 2
    }

    /// Whether no more events should be sent for now.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= LIMIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::UserName;

    fn dm(with: &str) -> ConversationId {
        ConversationId::dm(&UserName::parse("me").unwrap(), &UserName::parse(with).unwrap())
    }

    #[test]
    fn only_events_received_completely_are_confirmed() {
        let mut unconfirmed = Unconfirmed::default();
        unconfirmed.add(10, &dm("a"), 1);
        unconfirmed.add(20, &dm("b"), 7);
        unconfirmed.add(30, &dm("a"), 2);
        assert_eq!(unconfirmed.confirm(9), BTreeMap::new());
        assert_eq!(unconfirmed.confirm(29), BTreeMap::from([(dm("a"), 1), (dm("b"), 7)]));
        assert_eq!(unconfirmed.confirm(30), BTreeMap::from([(dm("a"), 2)]));
        assert!(unconfirmed.is_empty());
    }

    #[test]
    fn a_lively_conversation_costs_little() {
        let mut unconfirmed = Unconfirmed::default();
        for n in 0..100_000 {
            unconfirmed.add(n, &dm("a"), n);
        }
        assert!(unconfirmed.0.len() <= COALESCE_ABOVE + 1);
        assert_eq!(unconfirmed.confirm(99_999), BTreeMap::from([(dm("a"), 99_999)]));
    }
}
