//! The measured systems: each is started on loopback with a directory of its own, and ended by its process id.

mod ejabberd;
mod launcher;
mod mosquitto;
mod nats;
mod ngircd;
mod place;
mod process;
mod processor;

pub use self::launcher::Launcher;
pub use self::place::{Other, Place};
pub use self::process::pss_kib;
pub use self::processor::processor_times;
use crate::codec::Protocol;
use crate::options::{Options, SystemName};
use crate::problem::Result;
use crate::socket::Address;

/// A system to be measured.
#[derive(Debug, Clone, Copy)]
pub struct System {
    /// The name in the table.
    pub label: &'static str,
    /// The protocol used with it.
    pub protocol: Protocol,
    name: SystemName,
}

/// All systems, our own first.
pub const ALL: [System; 9] = [
    System { label: "P2P Chat, text", protocol: Protocol::Text, name: SystemName::Text },
    System { label: "P2P Chat, native", protocol: Protocol::Native, name: SystemName::Native },
    System { label: "P2P Chat, text, TLS", protocol: Protocol::Text, name: SystemName::TextTls },
    System { label: "P2P Chat, native, TLS", protocol: Protocol::Native, name: SystemName::NativeTls },
    System { label: "P2P Chat, WebSocket", protocol: Protocol::WebSocket, name: SystemName::WebSocket },
    System { label: "mosquitto, QoS 1", protocol: Protocol::Mqtt, name: SystemName::Mosquitto },
    System { label: "nats-server, core", protocol: Protocol::Nats, name: SystemName::Nats },
    System { label: "ngircd", protocol: Protocol::Irc, name: SystemName::Ngircd },
    System { label: "ejabberd", protocol: Protocol::Xmpp, name: SystemName::Ejabberd },
];

/// A running system; stopped when dropped.
pub enum Running {
    /// The project's launcher.
    Launcher(Launcher),
    /// Another system.
    Other(Other),
}

impl System {
    /// Whether it is one of our own.
    #[must_use]
    pub fn is_ours(self) -> bool {
        self.program().is_none()
    }

    /// Whether the options select it.
    #[must_use]
    pub fn is_wanted(self, options: &Options) -> bool {
        options.wants(self.name)
    }

    /// The program that is not installed, if any.
    #[must_use]
    pub fn missing(self) -> Option<&'static str> {
        self.program().filter(|program| process::find(program).is_none())
    }

    /// The program of another system; ours are the launcher's.
    fn program(self) -> Option<&'static str> {
        match self.name {
            SystemName::Text
            | SystemName::Native
            | SystemName::TextTls
            | SystemName::NativeTls
            | SystemName::WebSocket => None,
            SystemName::Mosquitto => Some(mosquitto::PROGRAM),
            SystemName::Nats => Some(nats::PROGRAM),
            SystemName::Ngircd => Some(ngircd::PROGRAM),
            SystemName::Ejabberd => Some(ejabberd::PROGRAM),
        }
    }

    /// Starts it with an empty store.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(self, place: &Place) -> Result<Running> {
        let running = match self.name {
            SystemName::Text
            | SystemName::Native
            | SystemName::TextTls
            | SystemName::NativeTls
            | SystemName::WebSocket => {
                return Ok(Running::Launcher(Launcher::start(place, self.name.is_encrypted())?));
            }
            SystemName::Mosquitto => mosquitto::start(place).await?,
            SystemName::Nats => nats::start(place).await?,
            SystemName::Ngircd => ngircd::start(place).await?,
            SystemName::Ejabberd => ejabberd::start(place).await?,
        };
        Ok(Running::Other(running))
    }
}

impl Running {
    /// Where the clients of a system connect.
    #[must_use]
    pub fn address(&self, system: System) -> Address {
        let is_tls = system.name.is_encrypted();
        let at = match self {
            Self::Launcher(launcher) if system.protocol == Protocol::WebSocket => launcher.page,
            Self::Launcher(launcher) if is_tls => launcher.encrypted,
            Self::Launcher(launcher) => launcher.chat,
            Self::Other(other) => other.address,
        };
        Address { at, is_tls }
    }

    /// The process group of each part, by name.
    ///
    /// # Errors
    /// If our launcher does not answer.
    pub fn process_groups(&self) -> Result<Vec<(String, u32)>> {
        match self {
            Self::Launcher(launcher) => launcher.process_groups(),
            Self::Other(other) => Ok(vec![("server".to_owned(), other.process.id())]),
        }
    }
}
