//! Conversations: each has one log of events.

use std::sync::Arc;

use uuid::Uuid;

use crate::name::UserName;
use crate::validated::string_type;

/// Prefix of a direct conversation's id.
const DM: &str = "dm:";
/// Ids of up to this many bytes, nearly all, are put together on the stack.
const SHORT: usize = 72;
/// Prefix of a room's id.
const ROOM: &str = "room:";

/// The id of a conversation: `dm:alice:bob` with the two users' name keys in order, or `room:` and a UUID, because a room's name may
/// change. Names cannot contain `:`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationId(Arc<str>);

/// A conversation id, parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// The name keys of two users, which are equal in notes to oneself. The members never change.
    Dm(&'a str, &'a str),
    /// A room. The store has its members.
    Room(Uuid),
}

/// A text is not the id of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a conversation: expected dm:NAME:NAME with the names in lower case and in order, or room:UUID")]
pub struct ConversationError;

impl ConversationId {
    /// The conversation of two users, the same from both sides.
    #[must_use]
    pub fn dm(one: &UserName, other: &UserName) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        let parts = [DM, first.key(), ":", second.key()];
        // Made for every message: without a text that is copied then.
        let mut text = [0; SHORT];
        let mut end = 0;
        for part in parts {
            let Some(place) = text.get_mut(end..end + part.len()) else { return Self(parts.concat().into()) };
            place.copy_from_slice(part.as_bytes());
            end += part.len();
        }
        Self(std::str::from_utf8(&text[..end]).expect("texts joined are a text").into())
    }

    /// The conversation of a room.
    #[must_use]
    pub fn room(id: Uuid) -> Self {
        Self(format!("{ROOM}{id}").into())
    }

    /// Parses an id.
    ///
    /// # Errors
    /// When it is not the canonical form that [`ConversationId::dm`] or [`ConversationId::room`] produces.
    pub fn parse(text: &str) -> Result<Self, ConversationError> {
        if let Some(id) = text.strip_prefix(ROOM) {
            let room = Self::room(Uuid::try_parse(id).map_err(|_| ConversationError)?);
            return if room.as_str() == text { Ok(room) } else { Err(ConversationError) };
        }
        let (first, second) =
            text.strip_prefix(DM).and_then(|names| names.split_once(':')).ok_or(ConversationError)?;
        if UserName::is_plain_key(first) && UserName::is_plain_key(second) {
            return if first <= second { Ok(Self(text.into())) } else { Err(ConversationError) };
        }
        let name = |text| UserName::stored(text).map_err(|_| ConversationError);
        let id = Self::dm(&name(first)?, &name(second)?);
        if id.as_str() == text { Ok(id) } else { Err(ConversationError) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parsed form: direct with its users, or a room.
    ///
    /// # Panics
    /// Never: an id is validated when it is created.
    #[must_use]
    pub fn kind(&self) -> Kind<'_> {
        if let Some(names) = self.0.strip_prefix(DM) {
            let (first, second) =
                names.split_once(':').expect("the id of a direct conversation holds two names");
            return Kind::Dm(first, second);
        }
        Kind::Room(Uuid::try_parse(&self.0[ROOM.len()..]).expect("the id of a room holds a UUID"))
    }

    /// Whether it is direct and this user is one of the two. Only the store knows the members of a room.
    #[must_use]
    pub fn is_dm_of(&self, user: &UserName) -> bool {
        self.dm_partner(user).is_some()
    }

    /// Whether it is a user's conversation with themselves.
    #[must_use]
    pub fn is_note_to_self(&self) -> bool {
        matches!(self.kind(), Kind::Dm(first, second) if first == second)
    }

    /// The name keys of a direct conversation's users: one in notes to oneself, none for a room, whose members only the store knows.
    pub fn dm_members(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match self.kind() {
            Kind::Dm(first, second) => (Some(first), Some(second).filter(|second| *second != first)),
            Kind::Room(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// The name key of the other user of a direct conversation, or `None` for a room or if `user` is not a member.
    #[must_use]
    pub fn dm_partner(&self, user: &UserName) -> Option<&str> {
        match self.kind() {
            Kind::Dm(first, second) if first == user.key() => Some(second),
            Kind::Dm(first, second) if second == user.key() => Some(first),
            Kind::Dm(..) | Kind::Room(_) => None,
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
    "dm:NAME:NAME, the two users' names in lower case and in order, or room:UUID"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_sides_name_the_same_conversation() {
        let (alice, bob) = (UserName::parse("Alice").unwrap(), UserName::parse("bob").unwrap());
        let id = ConversationId::dm(&bob, &alice);
        assert_eq!((id.as_str(), id.kind()), ("dm:alice:bob", Kind::Dm("alice", "bob")));
        assert_eq!(id, ConversationId::dm(&alice, &bob));
        assert_eq!(id.dm_partner(&alice), Some("bob"));
        assert_eq!(id.dm_partner(&UserName::parse("carol").unwrap()), None);
        assert!(!id.is_note_to_self() && ConversationId::dm(&bob, &bob).is_note_to_self());
        assert_eq!(ConversationId::dm(&bob, &bob).dm_partner(&bob), Some("bob"));
        assert_eq!(ConversationId::parse("dm:alice:bob").unwrap(), id);
        let members = |id: &ConversationId| id.dm_members().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            (members(&id), members(&ConversationId::dm(&bob, &bob))),
            (vec!["alice".into(), "bob".into()], vec!["bob".into()])
        );
        assert_eq!(members(&ConversationId::room(Uuid::nil())), Vec::<String>::new());
    }

    #[test]
    fn a_room_is_named_by_its_id_and_has_no_members_of_its_own() {
        let text = "room:019aa3c2-7f10-7abc-8def-0123456789ab";
        let room = ConversationId::parse(text).unwrap();
        let Kind::Room(id) = room.kind() else { panic!("{room} is no room") };
        assert_eq!((ConversationId::room(id), room.as_str()), (room.clone(), text));
        assert!(!room.is_dm_of(&UserName::parse("alice").unwrap()) && !room.is_note_to_self());
    }

    #[test]
    fn only_the_canonical_id_is_one() {
        let rooms = [
            "room:",
            "room:x",
            "room:019AA3C2-7f10-7abc-8def-0123456789ab",
            "room:019aa3c27f107abc8def0123456789ab",
        ];
        for bad in ["", "dm:", "dm:bob:alice", "dm:Alice:bob", "dm:a:b:c", "dm:a: b"].into_iter().chain(rooms)
        {
            assert!(ConversationId::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_read_as_it_was_made(one in "[a-zA-Z0-9._-]{1,33}|\\PC{1,9}", other in "[a-zA-Z0-9._-]{1,33}|\\PC{1,9}") {
            let canonical = match (UserName::stored(&one), UserName::stored(&other)) {
                (Ok(a), Ok(b)) => ConversationId::dm(&a, &b).as_str() == format!("dm:{one}:{other}"),
                (Err(_), _) | (_, Err(_)) => false,
            };
            prop_assert_eq!(ConversationId::parse(&format!("dm:{one}:{other}")).is_ok(), canonical);
        }
    }
}
