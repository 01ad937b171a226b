//! The messages that a service is processing, from which its cursors follow.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ConversationId;

/// Most messages in progress at once. Overflow rule: see [`Progress::begin`].
const LIMIT: usize = 512;

/// The messages in progress, and whether any was skipped.
///
/// Bound: [`LIMIT`] messages; a conversation is dropped when none of its messages is in progress.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    conversations: BTreeMap<ConversationId, Open>,
    open: usize,
    state: State,
    /// Incremented whenever the server's log changes.
    epoch: u64,
}

#[derive(Debug, Default)]
struct Open {
    seqs: BTreeSet<u64>,
    /// The last event that is processed or in progress.
    head: u64,
}

/// Whether messages arrive without gaps.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Without a gap.
    #[default]
    Following,
    /// At least one was skipped; nothing more is begun until a replay.
    Missed,
    /// A replay was requested; events until then belong to the old connection.
    Replaying,
}

impl Progress {
    /// The server's log changed: positions of messages in progress are invalid in it.
    pub(crate) fn restart(&mut self) {
        let epoch = self.epoch + 1;
        *self = Self { epoch, ..Self::default() };
    }

    /// The current epoch.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether to process a message now.
    ///
    /// A message over the limit is skipped, and so is every later one, because a cursor could otherwise pass over it. Skipped messages stay
    /// unread and arrive again after the replay that [`Progress::must_replay`] requests once the others are done.
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

    /// A message of `epoch` is processed. Returns how far the conversation is read now, if further than before.
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

    /// Skips an event that needs no answer. Returns how far the conversation is read now, if further than before.
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

    /// Whether a replay is needed and nothing is in progress. True once.
    pub(crate) fn must_replay(&mut self) -> bool {
        let now = self.state == State::Missed && self.open == 0;
        if now {
            self.state = State::Replaying;
        }
        now
    }

    /// The replay has started: messages arrive without gaps again.
    pub(crate) fn replay_started(&mut self) {
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
    fn the_cursor_waits_for_the_oldest_message_in_progress() {
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
    fn skipped_messages_are_replayed_and_never_passed_over() {
        let (mut progress, bob, carol) = (Progress::default(), conversation("bob"), conversation("carol"));
        let limit = LIMIT as u64;
        for seq in 1..=limit {
            assert!(progress.begin(&bob, seq));
        }
        assert!(!progress.begin(&carol, 1));
        for seq in 1..=limit {
            assert!(!progress.must_replay());
            assert!(!progress.begin(&carol, 1 + seq), "a later one must not pass over the first");
            assert_eq!(progress.pass(&carol, 2000), None);
            progress.finish(0, &bob, seq);
        }
        assert!(progress.must_replay());
        assert!(!progress.must_replay());
        assert!(!progress.begin(&carol, 3));
        progress.replay_started();
        assert!(progress.begin(&carol, 1));
    }

    #[test]
    fn a_message_of_another_log_moves_no_cursor() {
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
