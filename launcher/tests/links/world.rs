//! A launcher on a host of its own, which its users reach over links.

use crate::hall::Hall;
use crate::link::{Link, Quality};
use crate::network::Network;
use crate::support::dice::Dice;
use crate::support::{Home, Launcher};

const PORT: u16 = 5000;

/// A running launcher, with recipients who are online.
pub struct World {
    pub hall: Hall,
    _launcher: Launcher,
    pub network: Network,
    clients: u32,
}

impl World {
    /// With this many hosts for clients; `None` where they cannot be created.
    pub fn start(clients: u32) -> Option<Self> {
        let network = Network::of(clients + 1)?;
        let server = network.host(1);
        let settings = [
            "chat-server.insecure=true",
            "chat-server.max-sessions-per-address=0",
            "chat-server.logins-per-minute=0",
            "thermometer.enabled=false",
        ];
        let mut home = settings.iter().fold(Home::new(), |home, setting| home.set(setting));
        home.chat = ([0, 0, 0, 0], PORT).into();
        let launcher = server.within(|| home.up());
        let hall = Hall::open(&server, ([127, 0, 0, 1], PORT).into());
        Some(Self { hall, _launcher: launcher, network, clients })
    }

    /// The link with this index; the hosts are used in turn.
    pub fn link(&self, number: u8, quality: Quality, dice: Dice) -> Link {
        let clients = self.network.host(2 + u32::from(number) % self.clients);
        Link::lay(number, &self.network.host(1), PORT, clients, quality, dice)
    }
}
