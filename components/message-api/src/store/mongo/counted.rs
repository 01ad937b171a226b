//! How events count towards what is unread.

use protocol::conversation::Kind;
use protocol::{ConversationId, UserName};

/// How many events of a conversation count as unread, up to one of them; today all do. By default: before the first event.
///
/// It stands in the event's document as `ordinal`, the running number of such events, and `sent`, that of its sender's own among them; for
/// events of an earlier version it follows from [`checkpoints`](super::checkpoints).
/// Of a direct conversation's two users the one said what the other did not. Nothing is said in rooms yet: there a sender's own number
/// will have to be looked up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) ordinal: i64,
    /// Those that the first of the two users sent.
    pub(super) first: i64,
}

impl Counted {
    /// As the document of an event has it.
    pub(super) fn read(conversation: &ConversationId, sender: &str, ordinal: i64, sent: i64) -> Self {
        let first = if is_first(conversation, sender) { sent } else { ordinal - sent };
        Self { ordinal, first }
    }

    /// With the event of this sender that follows in the conversation.
    pub(super) fn followed_by(self, conversation: &ConversationId, sender: &str) -> Self {
        self.with(conversation, sender, 1)
    }

    /// With so many events of a sender, or without them.
    pub(super) fn with(self, conversation: &ConversationId, sender: &str, count: i64) -> Self {
        let first = if is_first(conversation, sender) { count } else { 0 };
        Self { ordinal: self.ordinal + count, first: self.first + first }
    }

    /// Those of one user, by their name key.
    pub(super) fn sent_by(self, conversation: &ConversationId, user: &str) -> i64 {
        if is_first(conversation, user) { self.first } else { self.ordinal - self.first }
    }

    /// How many came in for one of the conversation's users: what the other one said, and in notes to oneself everything.
    pub(super) fn came_in_for(self, conversation: &ConversationId, user: &str) -> i64 {
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

/// Whether what a user says in a conversation comes in for another one: for its members, and not what they say themselves, but for notes
/// to oneself.
pub(super) fn comes_in(conversation: &ConversationId, sender: &UserName, user: &UserName) -> bool {
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
            assert_eq!(counted.came_in_for(&dm, alice.key()), said[1]);
            assert_eq!(counted.came_in_for(&dm, bob.key()), said[0]);
        }
    }

    #[test]
    fn notes_to_oneself_come_in() {
        let (alice, bob) = (name("alice"), name("bob"));
        let notes = ConversationId::dm(&alice, &alice);
        let counted = Counted::default().followed_by(&notes, "alice").followed_by(&notes, "alice");
        assert_eq!((counted.sent_by(&notes, "alice"), counted.came_in_for(&notes, "alice")), (2, 2));
        let dm = ConversationId::dm(&alice, &bob);
        assert!(comes_in(&notes, &alice, &alice) && comes_in(&dm, &alice, &bob));
        assert!(!comes_in(&dm, &alice, &alice) && !comes_in(&dm, &alice, &name("carol")));
    }
}
