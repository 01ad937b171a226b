//! Counts of events, from which the number of unread messages follows.

use protocol::conversation::Kind;
use protocol::{ConversationId, UserName};

/// The number of events in a conversation up to one of them that count as unread; currently all do. The default is before the first event.
///
/// Stored in the event's document as `ordinal`, the running number of such events, and `sent`, that of its sender's own among them; for
/// events of an earlier version the counts follow from [`checkpoints`](super::checkpoints). In a direct conversation, what one user did not
/// send the other one did. Rooms have no messages yet: they will require looking up a sender's own number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) ordinal: i64,
    /// Those that the first of the two users sent.
    pub(super) first: i64,
}

impl Counted {
    /// Reads the counts of an event's document.
    pub(super) fn read(conversation: &ConversationId, sender: &str, ordinal: i64, sent: i64) -> Self {
        let first = if is_first(conversation, sender) { sent } else { ordinal - sent };
        Self { ordinal, first }
    }

    /// The counts including the next event, of this sender.
    pub(super) fn followed_by(self, conversation: &ConversationId, sender: &str) -> Self {
        self.with(conversation, sender, 1)
    }

    /// The counts with `count` more events of a sender, or fewer if negative.
    pub(super) fn with(self, conversation: &ConversationId, sender: &str, count: i64) -> Self {
        let first = if is_first(conversation, sender) { count } else { 0 };
        Self { ordinal: self.ordinal + count, first: self.first + first }
    }

    /// The number of events of one user, by name key.
    pub(super) fn sent_by(self, conversation: &ConversationId, user: &str) -> i64 {
        if is_first(conversation, user) { self.first } else { self.ordinal - self.first }
    }

    /// The number of messages for one of the conversation's users: those of the other user, and in notes to self all.
    pub(super) fn received_by(self, conversation: &ConversationId, user: &str) -> i64 {
        if conversation.is_note_to_self() {
            return self.ordinal;
        }
        self.ordinal - self.sent_by(conversation, user)
    }
}

fn is_first(conversation: &ConversationId, user: &str) -> bool {
    match conversation.kind() {
        Kind::Dm(first, _) => first == user,
        Kind::Room(_) => false,
    }
}

/// Whether a user's message in a conversation is for another user: for its members except the sender, and in notes to self for the sender.
pub(super) fn is_incoming(conversation: &ConversationId, sender: &UserName, user: &UserName) -> bool {
    conversation.is_dm_of(user) && (sender != user || conversation.is_note_to_self())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::name;

    #[test]
    fn what_came_in_follows_from_two_numbers_of_any_event() {
        let (alice, bob) = (name("alice"), name("bob"));
        let dm = ConversationId::dm(&bob, &alice);
        let mut counted = Counted::default();
        let (mut said, mut random) = ([0, 0], 7_u32);
        for _ in 0..200 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let by_alice = random >> 31 == 0;
            let sender = if by_alice { alice.key() } else { bob.key() };
            said[usize::from(!by_alice)] += 1;
            counted = counted.followed_by(&dm, sender);
            let (ordinal, sent) = (counted.ordinal, counted.sent_by(&dm, sender));
            assert_eq!((ordinal, sent), (said[0] + said[1], said[usize::from(!by_alice)]));
            assert_eq!(Counted::read(&dm, sender, ordinal, sent), counted, "nothing else is needed");
            assert_eq!(counted.received_by(&dm, alice.key()), said[1]);
            assert_eq!(counted.received_by(&dm, bob.key()), said[0]);
        }
    }

    #[test]
    fn notes_to_self_are_delivered() {
        let (alice, bob) = (name("alice"), name("bob"));
        let notes = ConversationId::dm(&alice, &alice);
        let counted = Counted::default().followed_by(&notes, "alice").followed_by(&notes, "alice");
        assert_eq!((counted.sent_by(&notes, "alice"), counted.received_by(&notes, "alice")), (2, 2));
        let dm = ConversationId::dm(&alice, &bob);
        assert!(is_incoming(&notes, &alice, &alice) && is_incoming(&dm, &alice, &bob));
        assert!(!is_incoming(&dm, &alice, &alice) && !is_incoming(&dm, &alice, &name("carol")));
    }
}
