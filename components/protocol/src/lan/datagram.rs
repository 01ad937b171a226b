//! Presence: what goes out to everybody on UDP port 5000. A hint, never a proof: anybody can send it under any address.

use std::net::Ipv6Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::peer::NodeId;

/// The whole payload of the old kind's presence.
pub const PRESENCE: &[u8] = b"HEY THERE..";
/// How often the old kind sends it.
pub const PRESENCE_EVERY: Duration = Duration::from_secs(2);
/// A peer that was silent for this long is gone.
pub const SILENCE: Duration = Duration::from_secs(10);
/// Who is told by IPv6, which has no broadcast: a group of this link alone (RFC 4291, 2.7) that is nobody's by register, with an ID of
/// those that anybody may choose (RFC 3307, 4.3).
pub const GROUP: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0xf2f2, 0xc4a7);
/// Longest datagram that we read; a beacon is shorter.
pub const DATAGRAM_BYTES: usize = 512;

/// What a beacon begins with. It is ASCII throughout: programs of the old kind read it as text and ignore it.
const BEACON: &[u8] = b"P2PCHAT1 ";

/// One datagram that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datagram {
    /// Somebody of either kind is there.
    Presence,
    /// A node of ours says that it is there.
    Beacon(Beacon),
}

/// `P2PCHAT1 {"id":"…","port":47600,"boot":…}`: which node claims to be at the sender's address.
///
/// Anybody can send one under any address, so nobody is dialled for it: it is answered by one with `ask`, and only who is at that
/// address can send the number back as `told`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beacon {
    /// Who it claims to be.
    pub id: NodeId,
    /// The TCP port of its secure protocol.
    pub port: u16,
    /// Made anew at each start, so that a restart is told from one more beacon.
    pub boot: u64,
    /// To be sent back as `told`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<u64>,
    /// The number that whoever this goes to has asked with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<u64>,
}

impl Datagram {
    /// Reads a datagram; `None` for everything that is neither kind.
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
    /// What is told to everybody.
    #[must_use]
    pub fn new(id: NodeId, port: u16, boot: u64) -> Self {
        Self { id, port, boot, ask: None, told: None }
    }

    /// The datagram.
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
        fn whatever_comes_is_survived(bytes: Vec<u8>, cut in 0usize..600) {
            let _ = Datagram::parse(&bytes);
            let mut beacon = [BEACON, &bytes].concat();
            let _ = Datagram::parse(&beacon);
            beacon.truncate(cut);
            let _ = Datagram::parse(&beacon);
        }
    }
}
