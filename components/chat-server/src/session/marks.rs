//! Which events a peer has been sent but not confirmed: what moves a text session's cursors.
//!
//! The life of a mark: an event's last byte is put into the outgoing buffer at some offset of the connection → the peer's TCP
//! acknowledges that offset → the mark is taken and the cursor moved.

use std::collections::{BTreeMap, VecDeque};

use protocol::ConversationId;

/// Past this a mark in the same conversation as the one before takes its place, so that one lively conversation costs little.
const COALESCE_ABOVE: usize = 256;
/// More events than fit into the kernel's send buffer in most cases.
const LIMIT: usize = 4096;

/// Events sent and not confirmed, in the order they were sent.
///
/// Bound: [`LIMIT`]. Overflow rule: while [`Marks::is_full`], the session takes no further event from its inbox.
#[derive(Debug, Default)]
pub(crate) struct Marks(VecDeque<Mark>);

#[derive(Debug)]
struct Mark {
    end: u64,
    conversation: ConversationId,
    seq: u64,
}

impl Marks {
    /// An event ends at this offset of what was ever sent on the connection.
    pub(crate) fn add(&mut self, end: u64, conversation: &ConversationId, seq: u64) {
        let coalesce = self.0.len() > COALESCE_ABOVE;
        match self.0.back_mut() {
            Some(last) if coalesce && last.conversation == *conversation => (last.end, last.seq) = (end, seq),
            Some(_) | None => self.0.push_back(Mark { end, conversation: conversation.clone(), seq }),
        }
    }

    /// The peer has everything up to this offset: how far each conversation is confirmed.
    pub(crate) fn confirm(&mut self, offset: u64) -> BTreeMap<ConversationId, u64> {
        let confirmed = self.0.partition_point(|mark| mark.end <= offset);
        let confirmed = self.0.drain(..confirmed).map(|mark| (mark.conversation, mark.seq)).collect();
        if self.0.is_empty() {
            self.0.shrink_to(8);
        }
        confirmed
    }

    /// The event that waits longest is not waited for any more: its conversation's cursor moves with a later one, or not at all.
    pub(crate) fn forget_oldest(&mut self) {
        self.0.pop_front();
    }

    /// What is not confirmed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ConversationId, u64)> {
        self.0.iter().map(|mark| (&mark.conversation, mark.seq))
    }

    /// Whether everything is confirmed.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
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
    fn only_what_the_peer_has_whole_is_confirmed() {
        let mut marks = Marks::default();
        marks.add(10, &dm("a"), 1);
        marks.add(20, &dm("b"), 7);
        marks.add(30, &dm("a"), 2);
        assert_eq!(marks.confirm(9), BTreeMap::new());
        assert_eq!(marks.confirm(29), BTreeMap::from([(dm("a"), 1), (dm("b"), 7)]));
        assert_eq!(marks.confirm(30), BTreeMap::from([(dm("a"), 2)]));
        assert!(marks.is_empty());
    }

    #[test]
    fn a_lively_conversation_costs_little() {
        let mut marks = Marks::default();
        for n in 0..100_000 {
            marks.add(n, &dm("a"), n);
        }
        assert!(marks.0.len() <= COALESCE_ABOVE + 1);
        assert_eq!(marks.confirm(99_999), BTreeMap::from([(dm("a"), 99_999)]));
    }
}
