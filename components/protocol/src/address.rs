//! The recipient of a message: a user or a room.

use std::hash::{Hash, Hasher};

use crate::name::{NameError, UserName};
use crate::validated::string_type;

/// Prefix of a room's name.
pub const ROOM_MARK: char = '#';

/// A recipient as the sender writes it. A user resolves to a [`ConversationId`](crate::ConversationId) directly, a room through the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A user.
    User(UserName),
    /// A room.
    Room(RoomName),
}

impl Address {
    /// Parses an address: [`ROOM_MARK`] and the name of a room, or the name of a user.
    ///
    /// # Errors
    /// The rule that the name breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.trim_start().starts_with(ROOM_MARK) {
            return RoomName::parse(text).map(Self::Room);
        }
        UserName::parse(text).map(Self::User)
    }

    /// The address as its sender writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::User(name) => name.as_str(),
            Self::Room(name) => name.as_str(),
        }
    }
}

string_type!(Address, "Address", "the name of a user, or '#' and the name of a room");

/// The name of a room: [`ROOM_MARK`] followed by the alphabet of user names. Names with the same key are equal and hash equally, as with
/// users.
#[derive(Debug, Clone)]
pub struct RoomName {
    text: std::sync::Arc<str>,
    name: UserName,
}

impl RoomName {
    /// Parses the name of a room, with its mark. Surrounding white space is ignored.
    ///
    /// # Errors
    /// The rule that the name breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let bare = text.trim().strip_prefix(ROOM_MARK).ok_or(NameError::NoRoom)?;
        if bare.starts_with(char::is_whitespace) {
            return Err(NameError::Character(' '));
        }
        let name = UserName::parse(bare)?;
        Ok(Self { text: format!("{ROOM_MARK}{name}").into(), name })
    }

    /// The name with its mark: `#Lobby`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The canonical form of the name, without the mark: `lobby`. All spellings of one room's name share it.
    #[must_use]
    pub fn key(&self) -> &str {
        self.name.key()
    }
}

impl PartialEq for RoomName {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for RoomName {}

impl Hash for RoomName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

string_type!(RoomName, "RoomName", "'#' and 1 to 32 letters, digits and their marks, '_', '-' and '.'");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_tells_a_room_from_a_user() {
        let Address::Room(lobby) = Address::parse(" #Lobby ").unwrap() else { panic!("no room") };
        assert_eq!((lobby.as_str(), lobby.key()), ("#Lobby", "lobby"));
        assert_eq!(lobby, RoomName::parse("#LOBBY").unwrap());
        let bob = Address::parse("Bob").unwrap();
        assert_eq!((bob.as_str(), &bob), ("Bob", &Address::User(UserName::parse("bob").unwrap())));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in ["", "#", "# lobby", "##lobby", "#a b", "a#b", "#..", "#\u{3164}"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
        assert!(RoomName::parse("lobby").is_err());
    }
}
