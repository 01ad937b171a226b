//! The one list of the native dialect's frames. From it follow what is read and written, which types an error names, and the table of all
//! frames in `docs/protocol.md`; tests hold the page's scripts and the tests' stand-ins to it.
//!
//! A new frame is one entry here. What it carries is declared beside the others in [`super`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Ack, ErrorFrame, EventFrame, Hello, HistoryPage, HistoryRequest, Seen, Send, Trace, TraceRequest, Welcome,
};
use crate::UserName;

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
            /// Every `type` there is.
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
    /// What a client says.
    ClientFrame {
        /// The first frame of a connection: who is there.
        "hello" Hello(Hello),
        /// Says something. Answered with `ack` or `error`, both of which carry its `client_id`.
        "send" Send(Send),
        /// Everything of a conversation up to and including `seq` was shown. Not answered.
        "seen" Seen(Seen),
        /// Asks for a page of a conversation. Answered with `history` or `error`.
        "history" History(HistoryRequest),
        /// Asks where a message has been. Answered with `trace` or `error`.
        "trace" Trace(TraceRequest),
        /// Asks for a `pong`.
        "ping" Ping {
            /// Comes back in the `pong`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            nonce: Option<u64>,
        },
    }
}

frames! {
    /// What the server says.
    ServerFrame {
        /// The answer to `hello`.
        "welcome" Welcome(Welcome),
        /// The message is stored.
        "ack" Ack(Ack),
        /// Something could not be done.
        "error" Error(ErrorFrame),
        /// Something was said, to this user or by another session of this user.
        "event" Event(EventFrame),
        /// Everything unseen has been sent; what follows happens now.
        "live" Live,
        /// Somebody came or went.
        "presence" Presence {
            /// Who.
            name: UserName,
            /// Whether they are online now.
            online: bool,
        },
        /// A page of a conversation.
        "history" History(HistoryPage),
        /// Another session of this user has shown a conversation up to `seq`.
        "seen" Seen(Seen),
        /// The other user of a conversation has everything up to `seq`: a client of theirs said that it was shown, or acknowledged its last
        /// byte, or fetched it.
        "delivered" Delivered(Seen),
        /// Where a message has been.
        "trace" Trace(Trace),
        /// The answer to `ping`.
        "pong" Pong {
            /// What the `ping` carried.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            nonce: Option<u64>,
        },
        /// The server closes the connection after this frame.
        "bye" Bye {
            /// Why, for people.
            reason: String,
            /// How long a client should wait before it connects again, in milliseconds.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reconnect_after_ms: Option<u64>,
        },
    }
}
