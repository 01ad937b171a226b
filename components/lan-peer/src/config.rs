//! The configuration section `[lan-peer]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use kit::{Exit, Failure};
use protocol::lan::{NodeId, PeerKey};
use serde::{Deserialize, Serialize};

use crate::choice::Choice;
use crate::name;
use crate::store::DEFAULT_MIB;

/// The default port of the secure protocol.
const SECURE_PORT: u16 = 47600;
/// Most configured peers.
const MAX_PEERS: usize = 256;
/// Range of the strangers' quota in MiB: at least one long message of each, at most half of the store.
const STRANGERS_MIB: std::ops::RangeInclusive<u32> = 1..=512;
/// Most interfaces named.
const MAX_INTERFACES: usize = 64;

/// This component's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Whether the launcher runs it.
    pub enabled: bool,
    /// This node's display name; empty for the machine's name.
    pub name: String,
    /// The address of its page. Must be loopback, because the page has no login.
    pub listen: SocketAddr,
    /// The UDP port of presence.
    pub udp_port: u16,
    /// The TCP port of the legacy protocol.
    pub tcp_port: u16,
    /// The TCP port of the secure protocol; if it is in use, any free port is used and announced.
    pub secure_port: u16,
    /// Whether to announce this node and find others by mDNS, too.
    pub mdns: bool,
    /// The network interfaces to use: `NAME` for only these, `!NAME` for all but these, a trailing `*` as a wildcard. If empty, every
    /// interface but point-to-point links and tunnels.
    pub interfaces: Vec<String>,
    /// Quota for stored messages of all strangers together, in MiB.
    pub strangers_mib: u32,
    /// Peers that announcements do not reach: `HOST`, `HOST:PORT`, `ID@HOST:PORT`; legacy peers as `old:IP`.
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

/// A configured peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The expected node, if configured.
    pub(crate) id: Option<NodeId>,
    /// Its host: an address, or a name that is resolved at each attempt.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
}

impl Place {
    /// Parses `HOST`, `HOST:PORT` or `ID@HOST:PORT`.
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
    /// Validates the values, so that the launcher reports errors before anything starts. The message starts with the key.
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
        if name::sanitised(&self.name) != self.name {
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
        if let Some(bad) =
            self.peers.iter().find(|text| parse_legacy(text).is_none() && Place::parse(text).is_none())
        {
            return wrong(format!("peers: '{bad}' is not HOST, HOST:PORT, ID@HOST:PORT or old:IP"));
        }
        if self.peers.len() > MAX_PEERS {
            return wrong(format!("peers may name {MAX_PEERS} addresses"));
        }
        Ok(())
    }

    /// The configured legacy peers.
    pub(crate) fn legacy_peers(&self) -> impl Iterator<Item = IpAddr> {
        self.peers.iter().filter_map(|text| parse_legacy(text))
    }

    /// The configured nodes.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.peers.iter().filter(|text| parse_legacy(text).is_none()).filter_map(|text| Place::parse(text))
    }
}

fn parse_legacy(text: &str) -> Option<IpAddr> {
    match text.parse() {
        Ok(PeerKey::Legacy(ip)) => Some(ip),
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
    fn the_quota_of_strangers_is_bounded() {
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
