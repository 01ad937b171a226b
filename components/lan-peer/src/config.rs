//! What an operator may set: `[lan-peer]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use kit::{Exit, Failure};
use protocol::lan::{NodeId, PeerKey};
use serde::{Deserialize, Serialize};

use crate::choice::Choice;
use crate::name;
use crate::store::DEFAULT_MIB;

/// The port of the secure protocol where an address names none.
const SECURE_PORT: u16 = 47600;
/// Most addresses given by hand.
const MAX_PEERS: usize = 256;
/// How much strangers may have, in MiB: one long message of each at least, and half of the store.
const STRANGERS_MIB: std::ops::RangeInclusive<u32> = 1..=512;
/// Most interfaces named.
const MAX_INTERFACES: usize = 64;

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
    /// The TCP port of the secure protocol; when it is taken, any free one is used and announced.
    pub secure_port: u16,
    /// Whether this node is announced and others are looked for by mDNS, too.
    pub mdns: bool,
    /// The network interfaces that are used: `NAME` for only these, `!NAME` for all but these, `*` at the end for every name that
    /// begins so. Empty is every interface but point-to-point links and tunnels.
    pub interfaces: Vec<String>,
    /// How much of what strangers send is kept, all of them together, in MiB.
    pub strangers_mib: u32,
    /// Peers that no announcement reaches: `HOST`, `HOST:PORT`, `ID@HOST:PORT`; of the old kind, `old:IP`.
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
            secure_port: SECURE_PORT,
            mdns: true,
            interfaces: Vec::new(),
            strangers_mib: DEFAULT_MIB,
            peers: Vec::new(),
        }
    }
}

/// An address given by hand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// Who must be there, where that was said.
    pub(crate) id: Option<NodeId>,
    /// Its host: an address, or a name to be looked up at each try.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
}

impl Place {
    /// Reads `HOST`, `HOST:PORT` or `ID@HOST:PORT`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (id, address) = match text.trim().split_once('@') {
            Some((id, address)) => (Some(id.parse().ok()?), address),
            None => (None, text.trim()),
        };
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        let (host, port) = if bare.parse::<IpAddr>().is_ok() {
            (bare, SECURE_PORT)
        } else {
            match address.rsplit_once(':') {
                Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
                None => (address, SECURE_PORT),
            }
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        let is_host = !host.is_empty() && host.len() <= 253 && host.chars().all(fits);
        is_host.then_some(Self { id, host, port })
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
        if let Some(bad) = self.interfaces.iter().find(|text| !Choice::is_pattern(text)) {
            return wrong(format!(
                "interfaces: '{bad}' is not the name of an interface, as in \"eth0\", \"!docker0\" or \"!veth*\"; 'ip link' lists them"
            ));
        }
        if self.interfaces.len() > MAX_INTERFACES {
            return wrong(format!(
                "interfaces may name {MAX_INTERFACES}, and names {}",
                self.interfaces.len()
            ));
        }
        if !STRANGERS_MIB.contains(&self.strangers_mib) {
            let (least, most) = (STRANGERS_MIB.start(), STRANGERS_MIB.end());
            return wrong(format!("strangers-mib must be {least} to {most}, and is {}", self.strangers_mib));
        }
        if let Some(bad) = self.peers.iter().find(|text| old(text).is_none() && Place::parse(text).is_none())
        {
            return wrong(format!("peers: '{bad}' is not HOST, HOST:PORT, ID@HOST:PORT or old:IP"));
        }
        if self.peers.len() > MAX_PEERS {
            return wrong(format!("peers may name {MAX_PEERS} addresses"));
        }
        Ok(())
    }

    /// The peers of the old kind given by hand.
    pub(crate) fn old(&self) -> impl Iterator<Item = IpAddr> {
        self.peers.iter().filter_map(|text| old(text))
    }

    /// The places of our own kind given by hand.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.peers.iter().filter(|text| old(text).is_none()).filter_map(|text| Place::parse(text))
    }
}

fn old(text: &str) -> Option<IpAddr> {
    match text.parse() {
        Ok(PeerKey::Old(ip)) => Some(ip),
        Ok(PeerKey::Node(_)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_by_hand_are_read() {
        let read = |text: &str| Place::parse(text).map(|place| (place.host, place.port));
        assert_eq!(read("10.0.0.7"), Some(("10.0.0.7".into(), SECURE_PORT)));
        assert_eq!(read("[fd00::7]:99"), Some(("fd00::7".into(), 99)));
        assert_eq!(read("fd00::7"), Some(("fd00::7".into(), SECURE_PORT)));
        assert_eq!(read("nas.lan:47601"), Some(("nas.lan".into(), 47601)));
        let id = "ab".repeat(32);
        assert!(Place::parse(&format!("{id}@10.0.0.7")).unwrap().id.is_some());
        for bad in ["", ":1", "a b", "10.0.0.7:0", "10.0.0.7:99999", "x@10.0.0.7", "http://x"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_page_stays_on_this_machine() {
        assert!(Config::default().validate().is_ok());
        let open = Config { listen: "0.0.0.0:8001".parse().unwrap(), ..Config::default() };
        assert!(open.validate().unwrap_err().to_string().starts_with("lan-peer.listen"));
    }

    #[test]
    fn strangers_have_some_room_and_not_all() {
        let with = |strangers_mib| Config { strangers_mib, ..Config::default() };
        assert!(with(1).validate().is_ok() && with(512).validate().is_ok());
        let error = with(0).validate().unwrap_err().to_string();
        assert_eq!(error, "lan-peer.strangers-mib must be 1 to 512, and is 0");
        assert!(with(513).validate().is_err());
    }

    #[test]
    fn interfaces_are_chosen_by_their_names() {
        let with = |name: &str| Config { interfaces: vec![name.to_owned()], ..Config::default() };
        for good in ["eth0", "!wlan0", "!docker*"] {
            assert!(with(good).validate().is_ok(), "{good}");
        }
        let error = with("eth 0").validate().unwrap_err().to_string();
        assert!(error.starts_with("lan-peer.interfaces: 'eth 0'"), "{error}");
    }

    #[test]
    fn peers_given_by_hand_are_addresses() {
        let with = |peer: &str| Config { peers: vec![peer.to_owned()], ..Config::default() };
        for good in ["old:10.0.0.7", "10.0.0.7", "nas.lan:47601"] {
            assert!(with(good).validate().is_ok(), "{good}");
        }
        for bad in ["", "old:", "http://10.0.0.7"] {
            assert!(with(bad).validate().is_err(), "{bad}");
        }
    }
}
