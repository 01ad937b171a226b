//! What an operator may set: `[lan-peer]`.

use std::net::{Ipv4Addr, SocketAddr};

use kit::{Exit, Failure};
use protocol::lan::PeerKey;
use serde::{Deserialize, Serialize};

use crate::name;

/// Most addresses given by hand.
const MAX_PEERS: usize = 256;

/// The part of the configuration that is this component's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Whether the launcher runs it.
    pub enabled: bool,
    /// What this node calls itself; empty is this machine's name.
    pub name: String,
    /// Where it serves its page. It has no login, so this is on this machine.
    pub listen: SocketAddr,
    /// The UDP port of presence.
    pub udp_port: u16,
    /// The TCP port of the old kind's messages.
    pub tcp_port: u16,
    /// Peers that no announcement reaches: `old:IP`.
    pub peers: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: false,
            name: String::new(),
            listen: (Ipv4Addr::LOCALHOST, 8001).into(),
            udp_port: 5000,
            tcp_port: 6000,
            peers: Vec::new(),
        }
    }
}

impl Config {
    /// Says which value cannot be, key first, so that the launcher can tell before anything starts.
    ///
    /// # Errors
    /// For the first such value.
    pub fn validate(&self) -> Result<(), Failure> {
        let wrong = |what: String| Err(Failure::new(Exit::Config, format!("lan-peer.{what}")));
        if !self.listen.ip().is_loopback() {
            return wrong(
                "listen must be on this machine, such as 127.0.0.1:8001: the page has no login".to_owned(),
            );
        }
        if name::tidy(&self.name) != self.name {
            return wrong("name must be at most 40 characters that can be seen".to_owned());
        }
        if self.udp_port == 0 || self.tcp_port == 0 {
            let key = if self.udp_port == 0 { "udp-port" } else { "tcp-port" };
            return wrong(format!("{key} must be the port that the others use, not 0"));
        }
        if let Some(bad) = self.peers.iter().find(|text| text.parse::<PeerKey>().is_err()) {
            return wrong(format!("peers: '{bad}' is not old:IP"));
        }
        if self.peers.len() > MAX_PEERS {
            return wrong(format!("peers may name {MAX_PEERS} addresses"));
        }
        Ok(())
    }

    /// The peers given by hand.
    pub(crate) fn given(&self) -> impl Iterator<Item = PeerKey> {
        self.peers.iter().filter_map(|text| text.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_stays_on_this_machine() {
        assert!(Config::default().validate().is_ok());
        let open = Config { listen: "0.0.0.0:8001".parse().unwrap(), ..Config::default() };
        assert!(open.validate().unwrap_err().to_string().starts_with("lan-peer.listen"));
    }

    #[test]
    fn peers_given_by_hand_are_addresses() {
        let with = |peer: &str| Config { peers: vec![peer.to_owned()], ..Config::default() };
        assert!(with("old:10.0.0.7").validate().is_ok());
        for bad in ["", "old:", "old:nas.lan", "http://10.0.0.7"] {
            assert!(with(bad).validate().is_err(), "{bad}");
        }
    }
}
