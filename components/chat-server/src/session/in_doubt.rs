//! Messages in doubt: sent to the store without an answer, in a dialect without ids. Recognising them makes it safe to send one again.
//!
//! The life of one: the store did not answer in time → its sender is told, and it is recorded here → the same text to the same recipient is
//! sent again → it goes to the store under the first one's id, which stores it at most once → the outcome is known, and the entry is
//! removed.

use std::collections::VecDeque;

use protocol::Draft;

use crate::outcome::{Digest, SentMessage};

/// More than anybody sends again. Overflow rule: the oldest is forgotten; if sent again, it counts as a new message.
const LIMIT: usize = 16;

/// The messages in doubt of one session.
#[derive(Debug, Clone, Default)]
pub(crate) struct InDoubt(VecDeque<SentMessage>);

impl InDoubt {
    /// The outcome of a message is unknown.
    pub(crate) fn add(&mut self, sent: &SentMessage) {
        self.settle(sent);
        if self.0.len() >= LIMIT {
            self.0.pop_front();
        }
        self.0.push_back(sent.clone());
    }

    /// The outcome of a message is known.
    pub(crate) fn settle(&mut self, sent: &SentMessage) {
        self.0.retain(|in_doubt| in_doubt.client_id != sent.client_id);
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
    }

    /// The draft with the id of the message in doubt that it repeats, if any.
    pub(crate) fn recognise(&self, draft: Draft) -> Draft {
        if self.0.is_empty() {
            return draft;
        }
        let digest = Digest::of(&draft.body);
        let same = |in_doubt: &&SentMessage| {
            draft.conversation.dm_partner(&draft.sender) == Some(in_doubt.to.key())
                && in_doubt.digest == digest
        };
        match self.0.iter().find(same) {
            Some(in_doubt) => Draft { client_id: in_doubt.client_id.clone(), ..draft },
            None => draft,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Body, UserName};

    fn draft(to: &str, text: &str) -> Draft {
        let name = |text| UserName::parse(text).unwrap();
        Draft::chat(name("alice"), &name(to), Body::parse(text).unwrap())
    }

    fn said_to(to: &str, draft: &Draft) -> SentMessage {
        SentMessage::new(UserName::parse(to).unwrap(), draft)
    }

    #[test]
    fn the_same_text_to_the_same_recipient_is_the_same_message_until_its_outcome_is_known() {
        let mut in_doubt = InDoubt::default();
        let first = draft("bob", "hi");
        let sent = said_to("bob", &first);
        in_doubt.add(&sent);
        in_doubt.add(&sent);
        assert_eq!(in_doubt.0.len(), 1);
        assert_eq!(in_doubt.recognise(draft("bob", "hi")).client_id, first.client_id);
        for other in [draft("carol", "hi"), draft("bob", "ho")] {
            assert_eq!(in_doubt.recognise(other.clone()), other);
        }
        in_doubt.settle(&sent);
        assert_ne!(in_doubt.recognise(draft("bob", "hi")).client_id, first.client_id);
        (0..100).for_each(|n| in_doubt.add(&said_to("bob", &draft("bob", &n.to_string()))));
        assert_eq!(in_doubt.0.len(), LIMIT);
    }
}
