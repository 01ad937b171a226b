//! Presence, sent to everybody on UDP port 5000. It is unauthenticated: anybody can send it from any address.

use std::net::Ipv6Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::peer::NodeId;

/// The complete payload of a legacy presence datagram.
pub const PRESENCE: &[u8] = b"HEY THERE..";
/// The interval at which legacy programs send it.
pub const PRESENCE_EVERY: Duration = Duration::from_secs(2);
/// A peer counts as offline after this time without a datagram.
pub const SILENCE: Duration = Duration::from_secs(10);
/// The IPv6 multicast group for presence, because IPv6 has no broadcast. It is link-local (RFC 4291, 2.7), with an unregistered ID from the
/// range for dynamic use (RFC 3307, 4.3).
pub const GROUP: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0xf2f2, 0xc4a7);
/// Longest datagram that is read, in bytes; a beacon is shorter.
pub const DATAGRAM_BYTES: usize = 512;

/// Prefix of a beacon. Beacons are ASCII, so that legacy programs decode them as text and ignore them.
const BEACON: &[u8] = b"P2PCHAT1 ";

/// A valid datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datagram {
    /// The legacy presence; nodes send it, too.
    Presence,
    /// A node's beacon.
    Beacon(Beacon),
}

/// `P2PCHAT1 {"id":"…","port":47600,"boot":…}`: which node claims to be at the sender's address.
///
/// Source addresses can be forged, so a node does not dial on a beacon alone: it answers with a beacon that has `ask`, and only the owner
/// of the address can return that number as `told`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beacon {
    /// The id of the node that the sender claims to be; unverified.
    pub id: NodeId,
    /// The TCP port of its secure protocol.
    pub port: u16,
    /// Random at each start, so that one beacon is enough to detect a restart.
    pub boot: u64,
    /// A challenge, to be returned as `told`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<u64>,
    /// The response: the number in the receiver's own `ask`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<u64>,
}

impl Datagram {
    /// Parses a datagram; `None` if it is neither.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes == PRESENCE {
            return Some(Self::Presence);
        }
        let json = bytes.strip_prefix(BEACON).filter(|_| bytes.len() <= DATAGRAM_BYTES)?;
        let beacon: Beacon = serde_json::from_slice(json).ok()?;
        (beacon.port != 0).then_some(Self::Beacon(beacon))
    }
}

impl Beacon {
    /// A beacon to broadcast, without challenge or response.
    #[must_use]
    pub fn new(id: NodeId, port: u16, boot: u64) -> Self {
        Self { id, port, boot, ask: None, told: None }
    }

    /// The datagram's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("a beacon can be written as JSON");
        [BEACON, &json].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_are_these() {
        assert_eq!(Datagram::parse(b"HEY THERE.."), Some(Datagram::Presence));
        for other in
            [&b"HEY THERE..\n"[..], b"HEY THERE.", b"", b"hey there..", b"HEY THERE..\0", b"\xff\xfe"]
        {
            assert_eq!(Datagram::parse(other), None);
        }
        let beacon = Beacon::new(NodeId::from_bytes([0xab; 32]), 47600, 7);
        let text = format!("P2PCHAT1 {{\"id\":\"{}\",\"port\":47600,\"boot\":7}}", "ab".repeat(32));
        assert_eq!(beacon.to_bytes(), text.as_bytes());
        let asking = Beacon { ask: Some(8), told: Some(9), ..beacon.clone() };
        let text = text.replace("7}", "7,\"ask\":8,\"told\":9}");
        assert_eq!(asking.to_bytes(), text.as_bytes());
        let later = text.replace("\"ask\"", "\"new\"");
        let Some(Datagram::Beacon(read)) = Datagram::parse(later.as_bytes()) else { panic!("{later}") };
        assert_eq!(read, Beacon { ask: None, ..asking }, "what a later version says beside is passed over");
        assert!(beacon.to_bytes().is_ascii() && beacon.to_bytes().len() <= DATAGRAM_BYTES);
        assert_eq!(GROUP.to_string(), "ff12::f2f2:c4a7");
    }

    proptest! {
        #[test]
        fn a_beacon_reads_back(id: [u8; 32], port in 1u16.., boot: u64, ask: Option<u64>, told: Option<u64>) {
            let beacon = Beacon { ask, told, ..Beacon::new(NodeId::from_bytes(id), port, boot) };
            prop_assert!(beacon.to_bytes().len() <= DATAGRAM_BYTES);
            prop_assert_eq!(Datagram::parse(&beacon.to_bytes()), Some(Datagram::Beacon(beacon)));
        }

        #[test]
        fn hostile_bytes_do_not_panic(bytes: Vec<u8>, cut in 0usize..600) {
            let _ = Datagram::parse(&bytes);
            let mut beacon = [BEACON, &bytes].concat();
            let _ = Datagram::parse(&beacon);
            beacon.truncate(cut);
            let _ = Datagram::parse(&beacon);
        }
    }
}
