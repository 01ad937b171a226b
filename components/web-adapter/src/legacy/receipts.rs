//! Tracks which messages an existing page has received, from which cursors follow.
//!
//! Written bytes may be stuck in the kernel, a proxy or a dead network. The browser answers a ping sent after them once it has received
//! them; until then messages stay unread and are shown again at the next login.

use std::collections::BTreeMap;

use protocol::ConversationId;

/// Most conversations with unconfirmed messages. Overflow rule: no further message is read from the chat server meanwhile.
const CONVERSATIONS: usize = 4096;

type Reached = BTreeMap<ConversationId, u64>;

/// Messages in flight to a browser.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// Sent since the last ping.
    sent: Reached,
    /// Sent before the unanswered ping.
    asked: Option<(u64, Reached)>,
    questions: u64,
}

impl Receipts {
    /// A message was written to the socket.
    pub(super) fn sent(&mut self, conversation: &ConversationId, seq: u64) {
        self.sent.insert(conversation.clone(), seq);
    }

    /// The next ping's number; `None` while the last one is unanswered or nothing was sent.
    pub(super) fn next_question(&mut self) -> Option<u64> {
        if self.asked.is_some() || self.sent.is_empty() {
            return None;
        }
        self.questions += 1;
        self.asked = Some((self.questions, std::mem::take(&mut self.sent)));
        Some(self.questions)
    }

    /// The browser has answered a ping. Returns how far it has received each conversation.
    pub(super) fn taken(&mut self, question: u64) -> Reached {
        let answered = self.asked.take_if(|(asked, _)| *asked == question);
        answered.map(|(_, reached)| reached).unwrap_or_default()
    }

    pub(super) fn has_room(&self) -> bool {
        self.sent.len() + self.asked.as_ref().map_or(0, |(_, reached)| reached.len()) < CONVERSATIONS
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
    fn only_what_was_sent_before_the_question_is_confirmed() {
        let mut receipts = Receipts::default();
        assert_eq!(receipts.next_question(), None);
        receipts.sent(&dm("a"), 1);
        receipts.sent(&dm("a"), 2);
        let first = receipts.next_question().unwrap();
        receipts.sent(&dm("a"), 3);
        receipts.sent(&dm("b"), 1);
        assert_eq!(receipts.next_question(), None, "one question at a time");
        assert_eq!(receipts.taken(first + 1), Reached::new());
        assert_eq!(receipts.taken(first), Reached::from([(dm("a"), 2)]));
        assert_eq!(receipts.taken(first), Reached::new());
        let second = receipts.next_question().unwrap();
        assert_eq!(receipts.taken(second), Reached::from([(dm("a"), 3), (dm("b"), 1)]));
    }

    #[test]
    fn a_browser_that_confirms_nothing_is_sent_no_more() {
        let mut receipts = Receipts::default();
        for n in 0..CONVERSATIONS {
            assert!(receipts.has_room());
            receipts.sent(&dm(&format!("user{n}")), 1);
            receipts.next_question();
        }
        assert!(!receipts.has_room());
    }
}
