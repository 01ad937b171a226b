//! How far each conversation was shown; the user's own messages count as shown.
//!
//! Otherwise the user's own messages would be unread at the next login.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use lru::LruCache;
use protocol::ConversationId;

/// Most conversations tracked. Overflow rule: the least recently changed is dropped, and its cursor moves again with its next shown
/// message.
const CONVERSATIONS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Most own messages tracked past one that was not shown yet. Overflow rule: the oldest is dropped.
const AHEAD: usize = 1024;

/// The cursors of this user.
#[derive(Debug)]
pub(crate) struct Cursors(LruCache<ConversationId, Cursor>);

impl Default for Cursors {
    fn default() -> Self {
        Self(LruCache::sparse(CONVERSATIONS))
    }
}

#[derive(Debug, Default)]
struct Cursor {
    /// Everything up to here was shown.
    shown: u64,
    /// Our own messages past `shown`.
    own: BTreeSet<u64>,
}

impl Cursors {
    /// The server reports a conversation as shown up to `seq`. Returns how far it is shown here.
    pub(crate) fn known(&mut self, conversation: &ConversationId, seq: u64) -> u64 {
        let cursor = self.cursor(conversation);
        cursor.raise(seq);
        cursor.shown
    }

    /// Records that a conversation was shown up to `seq`. Returns the new cursor if it moved.
    pub(crate) fn shown(&mut self, conversation: &ConversationId, seq: u64) -> Option<u64> {
        self.cursor(conversation).raise(seq)
    }

    /// Records an own message. Returns the new cursor unless earlier messages are not shown yet.
    pub(crate) fn own(&mut self, conversation: &ConversationId, seq: u64) -> Option<u64> {
        let cursor = self.cursor(conversation);
        if seq > cursor.shown {
            cursor.own.insert(seq);
        }
        if cursor.own.len() > AHEAD {
            cursor.own.pop_first();
        }
        cursor.raise(0)
    }

    fn cursor(&mut self, conversation: &ConversationId) -> &mut Cursor {
        self.0.get_or_insert_mut_ref(conversation, Cursor::default)
    }
}

impl Cursor {
    fn raise(&mut self, seq: u64) -> Option<u64> {
        let before = self.shown;
        self.shown = self.shown.max(seq);
        while self.own.remove(&self.shown.saturating_add(1)) {
            self.shown += 1;
        }
        let shown = self.shown;
        self.own.retain(|own| *own > shown);
        (shown > before).then_some(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_messages_count_as_shown_once_all_before_them_is() {
        let conversation = ConversationId::parse("dm:alice:bob").unwrap();
        let mut cursors = Cursors::default();
        cursors.known(&conversation, 5);
        assert_eq!(cursors.own(&conversation, 6), Some(6));
        assert_eq!(cursors.own(&conversation, 8), None, "the 7th is not shown yet");
        assert_eq!(cursors.own(&conversation, 9), None);
        assert_eq!(cursors.shown(&conversation, 7), Some(9));
        assert_eq!(cursors.shown(&conversation, 3), None);
        assert_eq!(cursors.own(&conversation, 2), None);
    }

    /// The cursors of `docs/client-model.json`, to which the page is held as well.
    #[test]
    fn cursors_move_as_those_of_every_client_of_ours() {
        let cases: serde_json::Value =
            serde_json::from_str(include_str!("../../../docs/client-model.json")).unwrap();
        let conversation = ConversationId::parse("dm:alice:bob").unwrap();
        for case in cases.as_array().unwrap() {
            let mut cursors = Cursors::default();
            for step in case["steps"].as_array().unwrap() {
                follow(&mut cursors, &conversation, step);
            }
            let shown = cursors.known(&conversation, 0);
            assert_eq!(case["then"]["shown"], shown, "{}", case["name"]);
        }
    }

    fn follow(cursors: &mut Cursors, conversation: &ConversationId, step: &serde_json::Value) {
        let number = |key: &str| step[key].as_u64().unwrap();
        match step["do"].as_str().unwrap() {
            "summary" => _ = cursors.known(conversation, number("seen")),
            "show" => _ = cursors.shown(conversation, number("seq")),
            "event" if step["own"] == true => _ = cursors.own(conversation, number("seq")),
            "event" => {}
            "page" => {
                for own in step["own"].as_array().unwrap() {
                    cursors.own(conversation, own.as_u64().unwrap());
                }
            }
            other => panic!("unknown step {other}"),
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let conversation = ConversationId::parse("dm:alice:bob").unwrap();
        let mut cursors = Cursors::default();
        for seq in 2..5000 {
            cursors.own(&conversation, seq);
        }
        assert!(cursors.cursor(&conversation).own.len() <= AHEAD);
    }

    #[test]
    fn the_conversation_longest_unchanged_is_forgotten_and_not_the_first_by_name() {
        let dm = |n: usize| ConversationId::parse(&format!("dm:alice:user{n:05}")).unwrap();
        let mut cursors = Cursors::default();
        for n in 1..=CONVERSATIONS.get() {
            cursors.shown(&dm(n), 5);
        }
        cursors.shown(&dm(0), 5);
        assert_eq!(cursors.shown(&dm(0), 5), None, "the latest one is remembered");
        assert_eq!(cursors.shown(&dm(2), 5), None);
        assert_eq!(cursors.shown(&dm(1), 5), Some(5), "the oldest one is not");
    }
}
