//! The protocols of the measured systems. A codec only converts bytes; connections are handled elsewhere.

mod end;
mod irc;
mod line;
mod mqtt;
mod native;
mod nats;
mod text;
mod web_socket;
mod xmpp;

pub use self::end::{Codec, Incoming, Step};

/// The protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Lines of text.
    Text,
    /// JSON lines.
    Native,
    /// JSON lines over a WebSocket, through the web adapter.
    WebSocket,
    /// MQTT 3.1.1, QoS 1, persistent sessions.
    Mqtt,
    /// NATS core: no storage, no acknowledgement.
    Nats,
    /// IRC: no storage, no acknowledgement.
    Irc,
    /// XMPP, with acknowledgements by XEP-0198.
    Xmpp,
}

impl Protocol {
    /// A codec for one connection.
    #[must_use]
    pub fn codec(self) -> Box<dyn Codec> {
        match self {
            Self::Text => Box::new(text::Text),
            Self::Native => Box::<native::Native>::default(),
            Self::WebSocket => Box::<web_socket::WebSocket>::default(),
            Self::Mqtt => Box::<mqtt::Mqtt>::default(),
            Self::Nats => Box::new(nats::Nats),
            Self::Irc => Box::new(irc::Irc),
            Self::Xmpp => Box::<xmpp::Xmpp>::default(),
        }
    }

    /// A codec for a reconnecting client.
    #[must_use]
    pub fn returning(self) -> Box<dyn Codec> {
        match self {
            Self::Mqtt => Box::new(mqtt::Mqtt::returning()),
            Self::Text | Self::Native | Self::WebSocket | Self::Nats | Self::Irc | Self::Xmpp => self.codec(),
        }
    }

    /// Whether messages to an offline recipient are stored and acknowledged.
    #[must_use]
    pub fn stores_offline(self) -> bool {
        match self {
            Self::Text | Self::Native | Self::WebSocket | Self::Mqtt | Self::Xmpp => true,
            Self::Nats | Self::Irc => false,
        }
    }

    /// Whether messages are stored only for clients that were connected once.
    #[must_use]
    pub fn stores_for_sessions(self) -> bool {
        match self {
            Self::Mqtt | Self::Xmpp => true,
            Self::Text | Self::Native | Self::WebSocket | Self::Nats | Self::Irc => false,
        }
    }
}
