//! The WebSocket frames of existing pages (`WIRE` §4). The native dialect uses the same WebSocket
//! with other types; see [`crate::native`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Event, MessageType, Metadata, Timestamp, UserName};

/// A frame from an existing page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PageFrame {
    /// Logs in. The chat server, if given, must be one that the operator listed.
    Login {
        /// The user's name.
        username: String,
        /// The chat server's host.
        #[serde(default)]
        server_host: Option<String>,
        /// The chat server's port: a number or a string.
        #[serde(default)]
        server_port: Option<Port>,
    },
    /// Sends a message.
    Chat {
        /// The recipient.
        recipient: String,
        /// The text.
        message: String,
    },
    /// `!check`, or any other line of the text dialect.
    Command {
        /// The command.
        command: String,
    },
}

/// A port as pages write it: `5000` or `"5000"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Port(pub u16);

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let port = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(number) => number.as_u64().and_then(|n| u16::try_from(n).ok()),
            serde_json::Value::String(text) => text.trim().parse().ok(),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => None,
        };
        port.map(Port).ok_or_else(|| serde::de::Error::custom("server_port is a number from 0 to 65535"))
    }
}

/// A frame to an existing page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AdapterFrame {
    /// The login worked.
    LoginSuccess {
        /// All online users.
        online_users: Vec<UserName>,
    },
    /// A user came online.
    UserJoined {
        /// The name of the user concerned.
        username: UserName,
        /// All online users, after the change.
        online_users: Vec<UserName>,
    },
    /// A user went offline.
    UserLeft {
        /// The name of the user concerned.
        username: UserName,
        /// All online users, after the change.
        online_users: Vec<UserName>,
    },
    /// A message that is delivered live.
    Chat(ChatMessage),
    /// A message from the store.
    Stored(ChatMessage),
    /// A notification from a service.
    Notification {
        /// The name of the user concerned.
        sender: UserName,
        /// When the sender wrote it.
        timestamp: Timestamp,
        /// The text.
        message: String,
        /// Data for programs, beside the text.
        metadata: Metadata,
    },
    /// Information from the server.
    System {
        /// The text.
        message: String,
    },
}

/// A chat message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatMessage {
    /// The name of the user concerned.
    pub sender: UserName,
    /// When the sender wrote it.
    pub timestamp: Timestamp,
    /// The text.
    pub message: String,
    /// Its type, unless it is plain chat. Pages that know only the fields above ignore it.
    #[serde(default, skip_serializing_if = "is_chat")]
    pub kind: MessageType,
    /// Data for programs, beside the text; omitted if empty.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

fn is_chat(kind: &MessageType) -> bool {
    *kind == MessageType::Chat
}

impl From<&Event> for ChatMessage {
    fn from(event: &Event) -> Self {
        Self {
            sender: event.sender.clone(),
            timestamp: event.timestamp,
            message: event.body.as_str().to_owned(),
            kind: event.kind,
            metadata: event.metadata.shown().into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_fields_of_login_may_be_missing_or_texts() {
        let login = |text: &str| serde_json::from_str::<PageFrame>(text);
        let expect = |host: Option<&str>, port: Option<u16>| PageFrame::Login {
            username: "alice".into(),
            server_host: host.map(str::to_owned),
            server_port: port.map(Port),
        };
        assert_eq!(login(r#"{"type":"login","username":"alice"}"#).unwrap(), expect(None, None));
        assert_eq!(
            login(r#"{"type":"login","username":"alice","server_host":"127.0.0.1","server_port":5000}"#)
                .unwrap(),
            expect(Some("127.0.0.1"), Some(5000))
        );
        assert_eq!(
            login(r#"{"type":"login","username":"alice","server_host":"h","server_port":"5000"}"#).unwrap(),
            expect(Some("h"), Some(5000))
        );
        assert!(login(r#"{"type":"login","username":"alice","server_port":true}"#).is_err());
    }

    #[test]
    fn answers_are_this_json() {
        let frame =
            AdapterFrame::UserLeft { username: UserName::parse("bob").unwrap(), online_users: vec![] };
        assert_eq!(
            serde_json::to_string(&frame).unwrap(),
            r#"{"type":"user_left","username":"bob","online_users":[]}"#
        );
    }
}
