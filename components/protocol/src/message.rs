//! The type of a message, and its client id.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::limits::CLIENT_ID_BYTES;
use crate::validated::string_type;

/// The type of a message. It affects only how clients show it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageType {
    /// A message of a person or a bot.
    #[default]
    Chat,
    /// A command to a service.
    Command,
    /// Information from a service.
    Notification,
    /// A change of subscriptions.
    Subscription,
}

impl MessageType {
    /// Every type.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Command, Self::Notification, Self::Subscription];

    /// As in JSON: `chat`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Command => "command",
            Self::Notification => "notification",
            Self::Subscription => "subscription",
        }
    }

    /// As in a stored line: `CHAT`.
    #[must_use]
    pub fn as_capitals(self) -> &'static str {
        match self {
            Self::Chat => "CHAT",
            Self::Command => "COMMAND",
            Self::Notification => "NOTIFICATION",
            Self::Subscription => "SUBSCRIPTION",
        }
    }

    /// Its number in a SQLite file. Part of that format: a number is never reused.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Chat => 0,
            Self::Command => 1,
            Self::Notification => 2,
            Self::Subscription => 3,
        }
    }

    /// The type with this number.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// The sender's own id of a message: 1 to [`CLIENT_ID_BYTES`] printable ASCII characters without spaces, unique per sender.
/// Sending the same id again returns the first result instead of storing a second message.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientId(Arc<str>);

/// The text is not a valid client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a client id is 1 to {CLIENT_ID_BYTES} printable ASCII characters without spaces")]
pub struct ClientIdError;

impl ClientId {
    /// Parses an id.
    ///
    /// # Errors
    /// When it is empty, too long, or holds anything but printable ASCII.
    pub fn parse(text: &str) -> Result<Self, ClientIdError> {
        let fits = (1..=CLIENT_ID_BYTES).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(ClientIdError)
        }
    }

    /// A new unique id: a UUID version 7 (RFC 9562).
    #[must_use]
    pub fn fresh() -> Self {
        let mut buffer = Uuid::encode_buffer();
        Self(Arc::from(&*Uuid::now_v7().simple().encode_lower(&mut buffer)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ClientId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

string_type!(ClientId, "ClientId", "1 to 64 printable ASCII characters, unique per sender");
