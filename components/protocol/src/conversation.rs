//! Which log a message belongs to.

use std::sync::Arc;

use crate::name::UserName;
use crate::validated::string_type;

/// The key of one conversation's log: `dm:alice:bob`, the two users' name keys in order. Names cannot hold `:`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationId(Arc<str>);

/// A text is not the key of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a conversation: expected dm:NAME:NAME with the names in lower case and in order")]
pub struct ConversationError;

impl ConversationId {
    /// The conversation of two users, the same whoever writes.
    #[must_use]
    pub fn dm(one: &UserName, other: &UserName) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        Self(format!("dm:{}:{}", first.key(), second.key()).into())
    }

    /// Reads a key.
    ///
    /// # Errors
    /// When it is not exactly what [`ConversationId::dm`] makes of its two names.
    pub fn parse(text: &str) -> Result<Self, ConversationError> {
        let (first, second) =
            text.strip_prefix("dm:").and_then(|names| names.split_once(':')).ok_or(ConversationError)?;
        if UserName::is_plain_key(first) && UserName::is_plain_key(second) {
            return if first <= second { Ok(Self(text.into())) } else { Err(ConversationError) };
        }
        let name = |text| UserName::stored(text).map_err(|_| ConversationError);
        let id = Self::dm(&name(first)?, &name(second)?);
        if id.as_str() == text { Ok(id) } else { Err(ConversationError) }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name keys of its two users; the same twice when somebody writes to themselves.
    #[must_use]
    pub fn members(&self) -> (&str, &str) {
        self.0["dm:".len()..].split_once(':').expect("a conversation key holds two names")
    }

    /// Whether a user takes part in it.
    #[must_use]
    pub fn has_member(&self, user: &UserName) -> bool {
        let (first, second) = self.members();
        user.key() == first || user.key() == second
    }

    /// The name key of the other user, or `None` when `user` takes no part in it.
    #[must_use]
    pub fn other(&self, user: &UserName) -> Option<&str> {
        match self.members() {
            (first, second) if first == user.key() => Some(second),
            (first, second) if second == user.key() => Some(first),
            _ => None,
        }
    }
}

impl std::fmt::Debug for ConversationId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

string_type!(
    ConversationId,
    "ConversationId",
    "dm:NAME:NAME, the two users' names in lower case and in order"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_sides_name_the_same_conversation() {
        let (alice, bob) = (UserName::parse("Alice").unwrap(), UserName::parse("bob").unwrap());
        let id = ConversationId::dm(&bob, &alice);
        assert_eq!(id.as_str(), "dm:alice:bob");
        assert_eq!(id, ConversationId::dm(&alice, &bob));
        assert_eq!(id.other(&alice), Some("bob"));
        assert_eq!(ConversationId::dm(&bob, &bob).other(&bob), Some("bob"));
        assert_eq!(ConversationId::parse("dm:alice:bob").unwrap(), id);
    }

    #[test]
    fn only_the_canonical_key_is_one() {
        for bad in ["", "dm:", "dm:bob:alice", "dm:Alice:bob", "dm:a:b:c", "room:x", "dm:a: b"] {
            assert!(ConversationId::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_read_as_it_was_made(one in "[a-zA-Z0-9._-]{1,33}|\\PC{1,9}", other in "[a-zA-Z0-9._-]{1,33}|\\PC{1,9}") {
            let canonical = match (UserName::stored(&one), UserName::stored(&other)) {
                (Ok(a), Ok(b)) => ConversationId::dm(&a, &b).as_str() == format!("dm:{one}:{other}"),
                (Err(_), _) | (_, Err(_)) => false,
            };
            prop_assert_eq!(ConversationId::parse(&format!("dm:{one}:{other}")).is_ok(), canonical);
        }
    }
}
