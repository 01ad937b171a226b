//! Which messages to a service are being dealt with, and so how far it has seen each conversation.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ConversationId;

/// Most messages that are being dealt with at once. Overflow rule: see [`Progress::begin`].
const LIMIT: usize = 512;

/// The messages under way, and whether any was skipped.
///
/// Bound: [`LIMIT`] messages; a conversation is forgotten when none of its messages is under way.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    conversations: BTreeMap<ConversationId, Open>,
    open: usize,
    state: State,
    /// Counts the logs that the messages came from.
    epoch: u64,
}

#[derive(Debug, Default)]
struct Open {
    seqs: BTreeSet<u64>,
    /// The last event that is dealt with or under way.
    head: u64,
}

/// How the messages come in.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Without a gap.
    #[default]
    Following,
    /// At least one was skipped; nothing more is begun until all is asked for again.
    Missed,
    /// It was asked for again; what still comes belongs to the old connection.
    Asked,
}

impl Progress {
    /// The server keeps another log: what is being dealt with is no place in it.
    pub(crate) fn restart(&mut self) {
        let epoch = self.epoch + 1;
        *self = Self { epoch, ..Self::default() };
    }

    /// The log that messages come from now.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether a message shall be dealt with now.
    ///
    /// One too many is skipped, and so is every later one, or a cursor could pass over it. They stay unseen, and come again
    /// once the others are done and [`Progress::must_ask`] says so.
    pub(crate) fn begin(&mut self, conversation: &ConversationId, seq: u64) -> bool {
        if self.state == State::Following && self.open >= LIMIT {
            self.state = State::Missed;
        }
        if self.state != State::Following {
            return false;
        }
        let open = self.conversations.entry(conversation.clone()).or_default();
        open.head = open.head.max(seq);
        let new = open.seqs.insert(seq);
        self.open += usize::from(new);
        new
    }

    /// A message of the log `epoch` is dealt with: how far the conversation is seen now, if that is further than before.
    pub(crate) fn finish(&mut self, epoch: u64, conversation: &ConversationId, seq: u64) -> Option<u64> {
        if epoch != self.epoch {
            return None;
        }
        let open = self.conversations.get_mut(conversation)?;
        let first = open.seqs.first().copied();
        if !open.seqs.remove(&seq) {
            return None;
        }
        self.open -= 1;
        match open.seqs.first() {
            Some(next) => (first == Some(seq)).then_some(next - 1),
            None => self.conversations.remove(conversation).map(|open| open.head),
        }
    }

    /// An event that needs no answer: how far the conversation is seen now, if that is further than before.
    pub(crate) fn pass(&mut self, conversation: &ConversationId, seq: u64) -> Option<u64> {
        if self.state != State::Following {
            return None;
        }
        match self.conversations.get_mut(conversation) {
            Some(open) => {
                open.head = open.head.max(seq);
                None
            }
            None => Some(seq),
        }
    }

    /// Whether everything unseen must be asked for again, now that nothing is under way. Says so once.
    pub(crate) fn must_ask(&mut self) -> bool {
        let now = self.state == State::Missed && self.open == 0;
        if now {
            self.state = State::Asked;
        }
        now
    }

    /// From here on the messages come without a gap again.
    pub(crate) fn asked(&mut self) {
        self.state = State::Following;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(name: &str) -> ConversationId {
        ConversationId::parse(&format!("dm:a:{name}")).unwrap()
    }

    #[test]
    fn the_cursor_waits_for_the_oldest_message_under_way() {
        let (mut progress, bob) = (Progress::default(), conversation("bob"));
        for seq in [3, 4, 6] {
            assert!(progress.begin(&bob, seq));
        }
        assert!(!progress.begin(&bob, 4), "it is under way already");
        assert_eq!(progress.finish(0, &bob, 4), None);
        assert_eq!(progress.pass(&bob, 7), None);
        assert_eq!(progress.finish(0, &bob, 3), Some(5));
        assert_eq!(progress.finish(0, &bob, 6), Some(7));
        assert_eq!(progress.finish(0, &bob, 6), None);
        assert_eq!(progress.pass(&bob, 8), Some(8));
        assert_eq!(progress.open, 0);
    }

    #[test]
    fn what_is_skipped_is_asked_for_again_and_never_passed_over() {
        let (mut progress, bob, carol) = (Progress::default(), conversation("bob"), conversation("carol"));
        let limit = LIMIT as u64;
        for seq in 1..=limit {
            assert!(progress.begin(&bob, seq));
        }
        assert!(!progress.begin(&carol, 1));
        for seq in 1..=limit {
            assert!(!progress.must_ask());
            assert!(!progress.begin(&carol, 1 + seq), "a later one must not pass over the first");
            assert_eq!(progress.pass(&carol, 2000), None);
            progress.finish(0, &bob, seq);
        }
        assert!(progress.must_ask());
        assert!(!progress.must_ask());
        assert!(!progress.begin(&carol, 3));
        progress.asked();
        assert!(progress.begin(&carol, 1));
    }

    #[test]
    fn what_belongs_to_another_log_moves_no_cursor_in_this_one() {
        let (mut progress, bob) = (Progress::default(), conversation("bob"));
        assert!(progress.begin(&bob, 3) && progress.begin(&bob, 4));
        progress.restart();
        assert!(progress.begin(&bob, 3), "the same place holds another message");
        assert_eq!(progress.finish(0, &bob, 3), None);
        assert_eq!(progress.finish(0, &bob, 4), None);
        assert_eq!(progress.finish(progress.epoch(), &bob, 3), Some(3));
        assert_eq!(progress.open, 0);
    }
}
