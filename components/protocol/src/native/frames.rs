//! The single list of the native dialect's frames. Parsing, serialising, the types named in errors and the table in `docs/protocol.md`
//! derive from it; tests compare the page's scripts and the tests' fakes with it.
//!
//! To add a frame, add an entry here. Its content is declared in [`super::payload`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::payload::{
    Ack, ErrorCode, ErrorFrame, EventFrame, Hello, HistoryPage, HistoryRequest, Seen, Send, Trace,
    TraceRequest, Welcome,
};
use crate::sanitise;
use crate::{ClientId, UserName};

macro_rules! frames {
    (
        $(#[$about:meta])*
        $side:ident {
            $($(#[$doc:meta])* $kind:literal $name:ident $(($body:ty))? $({ $($fields:tt)* })?,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "type")]
        pub enum $side {
            $($(#[$doc])* #[serde(rename = $kind)] $name $(($body))? $({ $($fields)* })?,)*
        }

        impl $side {
            /// All values of `type`.
            pub const TYPES: &'static [&'static str] = &[$($kind),*];

            /// The frame's `type`.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => $kind,)*
                }
            }
        }
    };
}

frames! {
    /// A frame from a client.
    ClientFrame {
        /// The first frame of a connection: logs in.
        "hello" Hello(Hello),
        /// Sends a message. Answered with `ack` or `error`, both of which carry its `client_id`.
        "send" Send(Send),
        /// All messages of a conversation up to and including `seq` were shown. Not answered.
        "seen" Seen(Seen),
        /// Requests a page of a conversation. Answered with `history` or `error`.
        "history" History(HistoryRequest),
        /// Requests the trace of a message. Answered with `trace` or `error`.
        "trace" Trace(TraceRequest),
        /// Requests a `pong`.
        "ping" Ping {
            /// Returned in the `pong`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            nonce: Option<u64>,
        },
    }
}

frames! {
    /// A frame from the server.
    ServerFrame {
        /// The answer to `hello`.
        "welcome" Welcome(Welcome),
        /// The message is stored.
        "ack" Ack(Ack),
        /// A request failed.
        "error" Error(ErrorFrame),
        /// A message to this user, or from another session of this user.
        "event" Event(EventFrame),
        /// All unread messages were sent; what follows is live.
        "live" Live,
        /// A user came online or went offline.
        "presence" Presence {
            /// The user's name.
            name: UserName,
            /// Whether they are online now.
            online: bool,
        },
        /// A page of a conversation.
        "history" History(HistoryPage),
        /// Another session of this user has shown a conversation up to `seq`.
        "seen" Seen(Seen),
        /// Everything up to `seq` was delivered to the other user of a conversation: their client reported it as shown, acknowledged its
        /// last byte, or fetched it.
        "delivered" Delivered(Seen),
        /// The trace of a message.
        "trace" Trace(Trace),
        /// The answer to `ping`.
        "pong" Pong {
            /// The nonce of the `ping`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            nonce: Option<u64>,
        },
        /// The server closes the connection after this frame.
        "bye" Bye {
            /// Human-readable reason.
            reason: String,
            /// How long the client should wait before it reconnects, in milliseconds.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reconnect_after_ms: Option<u64>,
        },
    }
}

/// Parses a client's frame.
///
/// # Errors
/// An [`ErrorFrame`] to answer with: what is wrong and, if it could be parsed, the `client_id` concerned.
pub fn parse_client_frame(line: &str) -> Result<ClientFrame, Box<ErrorFrame>> {
    serde_json::from_str(line).map_err(|error| Box::new(explain(line, &error)))
}

fn explain(line: &str, error: &serde_json::Error) -> ErrorFrame {
    #[derive(Deserialize)]
    struct Outline {
        #[serde(rename = "type")]
        kind: Option<String>,
        client_id: Option<ClientId>,
    }
    let outline = serde_json::from_str::<Outline>(line).ok();
    let (kind, client_id) = outline.map_or((None, None), |outline| (outline.kind, outline.client_id));
    let (code, message) = match kind {
        Some(kind) if !ClientFrame::TYPES.contains(&kind.as_str()) => {
            let kind = sanitise::short_line(&kind, 32);
            let known = ClientFrame::TYPES.join(", ");
            (ErrorCode::UnknownType, format!("unknown type '{kind}'; one of {known}"))
        }
        Some(kind) if kind == "hello" && error.to_string().starts_with("a name") => {
            (ErrorCode::BadName, error.to_string())
        }
        Some(_) | None => (ErrorCode::BadFrame, format!("bad frame: {error}")),
    };
    ErrorFrame { code, message, client_id, retry_after_ms: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::{ErrorCode, Hello, Send};
    use crate::{Body, MessageType, Metadata, Timestamp};
    use proptest::prelude::*;

    #[test]
    fn literal_frames() {
        let frame = parse_client_frame(r#"{"type":"send","client_id":"c1","to":"Bob","body":"hi"}"#).unwrap();
        let ClientFrame::Send(send) = frame else { panic!("not a send") };
        assert_eq!((send.client_id.as_str(), send.to.as_str(), send.body.as_str()), ("c1", "Bob", "hi"));
        let hello =
            serde_json::to_string(&ClientFrame::Hello(Hello::new(UserName::parse("al").unwrap()))).unwrap();
        assert_eq!(
            hello,
            r#"{"type":"hello","name":"al","replay":true,"presence":true,"conversations":true}"#
        );
        assert_eq!(serde_json::to_string(&ServerFrame::Live).unwrap(), r#"{"type":"live"}"#);
    }

    #[test]
    fn errors_name_what_is_wrong_and_the_message_it_is_about() {
        let error = |line: &str| *parse_client_frame(line).unwrap_err();
        assert_eq!(error("{}").code, ErrorCode::BadFrame);
        assert_eq!(error("not json").code, ErrorCode::BadFrame);
        assert_eq!(error(r#"{"type":"dance"}"#).code, ErrorCode::UnknownType);
        assert_eq!(error(r#"{"type":"hello","name":"a b"}"#).code, ErrorCode::BadName);
        let empty = error(r#"{"type":"send","client_id":"c7","to":"bob","body":" "}"#);
        assert_eq!(empty.client_id, Some(ClientId::parse("c7").unwrap()));
        assert!(empty.message.contains("cannot be empty"), "{}", empty.message);
    }

    proptest! {
        #[test]
        fn hostile_lines_get_an_answer(line in any::<String>()) {
            let _ = parse_client_frame(&line);
        }

        #[test]
        fn every_send_survives_the_wire(to in "[a-z]{1,32}", body in "\\PC{1,200}", id in "[!-~]{1,64}") {
            prop_assume!(Body::parse(&body).is_ok());
            let send = ClientFrame::Send(Send {
                client_id: ClientId::parse(&id).unwrap(),
                to: UserName::parse(&to).unwrap(),
                body: Body::parse(&body).unwrap(),
                kind: MessageType::Command,
                metadata: Metadata::default(),
                timestamp: Some(Timestamp::from_micros(5)),
                trace: false,
            });
            let line = serde_json::to_string(&send).unwrap();
            prop_assert_eq!(parse_client_frame(&line).unwrap(), send);
        }
    }
}
