//! Messages of which nobody knows whether they are stored, in a dialect that has no ids: what makes sending one again safe.
//!
//! The life of one: the store did not answer in time → its sender is told, and it is kept here → the same words to the same receiver come
//! again → they go to the store under the first one's id, which stores them at most once → the outcome is known, and it is forgotten.

use std::collections::VecDeque;

use protocol::Draft;

use crate::outcome::{Digest, Said};

/// More than somebody sends again. Overflow rule: the oldest is forgotten; sent again, it is a message of its own.
const LIMIT: usize = 16;

/// One session's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unsure(VecDeque<Said>);

impl Unsure {
    /// Nobody knows what became of it.
    pub(crate) fn add(&mut self, said: &Said) {
        self.settle(said);
        if self.0.len() >= LIMIT {
            self.0.pop_front();
        }
        self.0.push_back(said.clone());
    }

    /// What became of it is known.
    pub(crate) fn settle(&mut self, said: &Said) {
        self.0.retain(|unsure| unsure.client_id != said.client_id);
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
    }

    /// The draft, under the id of the one that it says again.
    pub(crate) fn recognise(&self, draft: Draft) -> Draft {
        if self.0.is_empty() {
            return draft;
        }
        let digest = Digest::of(&draft.body);
        let same = |unsure: &&Said| {
            draft.conversation.dm_partner(&draft.sender) == Some(unsure.to.key()) && unsure.digest == digest
        };
        match self.0.iter().find(same) {
            Some(unsure) => Draft { client_id: unsure.client_id.clone(), ..draft },
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

    fn said_to(to: &str, draft: &Draft) -> Said {
        Said::new(UserName::parse(to).unwrap(), draft)
    }

    #[test]
    fn the_same_words_to_the_same_receiver_are_the_same_message_until_its_outcome_is_known() {
        let mut unsure = Unsure::default();
        let first = draft("bob", "hi");
        let said = said_to("bob", &first);
        unsure.add(&said);
        unsure.add(&said);
        assert_eq!(unsure.0.len(), 1);
        assert_eq!(unsure.recognise(draft("bob", "hi")).client_id, first.client_id);
        for other in [draft("carol", "hi"), draft("bob", "ho")] {
            assert_eq!(unsure.recognise(other.clone()), other);
        }
        unsure.settle(&said);
        assert_ne!(unsure.recognise(draft("bob", "hi")).client_id, first.client_id);
        (0..100).for_each(|n| unsure.add(&said_to("bob", &draft("bob", &n.to_string()))));
        assert_eq!(unsure.0.len(), LIMIT);
    }
}
