//! With whom a conversation is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Whoever has an address: `old:192.168.1.7` in text. Nothing is proved by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerKey {
    /// A peer of the old kind.
    Old(IpAddr),
}

/// A text does not name a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a peer: write old: and an IP address")]
pub struct PeerKeyError;

const OLD: &str = "old:";

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Old(ip) => write!(f, "{OLD}{ip}"),
        }
    }
}

impl FromStr for PeerKey {
    type Err = PeerKeyError;

    fn from_str(text: &str) -> Result<Self, PeerKeyError> {
        let ip = text.strip_prefix(OLD).ok_or(PeerKeyError)?;
        ip.parse().map(Self::Old).map_err(|_| PeerKeyError)
    }
}

impl Serialize for PeerKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PeerKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_addresses_name_a_peer() {
        let key = PeerKey::Old("192.168.1.7".parse().unwrap());
        assert_eq!("old:192.168.1.7".parse(), Ok(key));
        assert_eq!(key.to_string(), "old:192.168.1.7");
        for bad in ["", "old:", "old:host", "old:1.2.3.4:22", "192.168.1.7"] {
            assert_eq!(bad.parse::<PeerKey>(), Err(PeerKeyError), "{bad}");
        }
    }
}
