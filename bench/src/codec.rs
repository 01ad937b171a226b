//! How the measured systems are spoken to. A codec knows bytes only: connections are somebody else's.

mod irc;
mod line;
mod mqtt;
mod native;
mod nats;
mod text;
mod web_socket;
mod xmpp;

use bytes::BytesMut;

use crate::Result;
use crate::stamp::Stamp;

/// One end of a conversation with a system.
pub trait Codec: Send + Sync {
    /// What is sent, and waited for, until messages flow.
    fn login(&self, name: &str) -> Vec<Step>;

    /// Says `body` to `to`.
    fn say(&mut self, to: &str, body: &[u8], out: &mut Vec<u8>);

    /// Takes the next whole thing out of what came in. What must be answered at once is put into `out`.
    ///
    /// # Errors
    /// When the system refuses something, or is not understood.
    fn next(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Result<Option<Incoming>>;

    /// Everything that came in has been taken: acknowledges it, where that is done for many at once.
    fn taken(&mut self, _out: &mut Vec<u8>) {}
}

/// One step of a login.
#[derive(Debug)]
pub struct Step {
    /// Is sent first.
    pub say: Vec<u8>,
    /// Is waited for then.
    pub until: &'static [u8],
    /// Whether it stays for the codec to read. Otherwise everything up to its end is passed over.
    pub stays: bool,
}

impl Step {
    fn new(say: impl Into<Vec<u8>>, until: &'static [u8]) -> Self {
        Self { say: say.into(), until, stays: false }
    }
}

/// What came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming {
    /// The system has taken so many messages into its care.
    Acknowledged(u32),
    /// A message.
    Delivered(Stamp),
    /// Something that is of no interest here.
    Other,
}

/// The protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Lines for people.
    Text,
    /// JSON lines.
    Native,
    /// The same over a WebSocket, through the web adapter.
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

    /// A codec for somebody who comes back.
    #[must_use]
    pub fn returning(self) -> Box<dyn Codec> {
        match self {
            Self::Mqtt => Box::new(mqtt::Mqtt::returning()),
            Self::Text | Self::Native | Self::WebSocket | Self::Nats | Self::Irc | Self::Xmpp => self.codec(),
        }
    }

    /// Whether messages to somebody who is away are kept, and their sender is told so.
    #[must_use]
    pub fn keeps(self) -> bool {
        match self {
            Self::Text | Self::Native | Self::WebSocket | Self::Mqtt | Self::Xmpp => true,
            Self::Nats | Self::Irc => false,
        }
    }

    /// Whether messages are kept only for those who have been there once.
    #[must_use]
    pub fn keeps_for_sessions(self) -> bool {
        match self {
            Self::Mqtt | Self::Xmpp => true,
            Self::Text | Self::Native | Self::WebSocket | Self::Nats | Self::Irc => false,
        }
    }
}
