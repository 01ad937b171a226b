//! The identity of a peer: a node's key, or the address of a legacy peer.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A node's public Ed25519 key (RFC 8032), which is its identity; 64 hexadecimal digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 32]);

/// The peer of a conversation: a key, or `old:` and an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerKey {
    /// A node, authenticated by its key.
    Node(NodeId),
    /// A legacy peer, known only by its address and not authenticated.
    Legacy(IpAddr),
}

/// The text is not a valid peer key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a peer: write its 64 hexadecimal digits, or old: and an IP address")]
pub struct PeerKeyError;

const LEGACY_PREFIX: &str = "old:";

impl NodeId {
    /// Creates an id from the key's bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 80 bits, in groups of four digits: `0123-4567-89ab-cdef-0123`. Distinguishes nodes of the same name, and is too long to
    /// find another key with the same prefix by brute force.
    #[must_use]
    pub fn short(&self) -> String {
        let groups = self.0[..10].chunks(2).map(|pair| format!("{:02x}{:02x}", pair[0], pair[1]));
        groups.collect::<Vec<_>>().join("-")
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NodeId {
    type Err = PeerKeyError;

    fn from_str(text: &str) -> Result<Self, PeerKeyError> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(PeerKeyError);
        }
        let mut bytes = [0; 32];
        for (byte, index) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[index..index + 2], 16).map_err(|_| PeerKeyError)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(id) => write!(f, "{id}"),
            Self::Legacy(ip) => write!(f, "{LEGACY_PREFIX}{ip}"),
        }
    }
}

impl FromStr for PeerKey {
    type Err = PeerKeyError;

    fn from_str(text: &str) -> Result<Self, PeerKeyError> {
        match text.strip_prefix(LEGACY_PREFIX) {
            Some(ip) => ip.parse().map(Self::Legacy).map_err(|_| PeerKeyError),
            None => text.parse().map(Self::Node),
        }
    }
}

macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(NodeId, PeerKey);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_complete_keys_and_addresses_name_a_peer() {
        assert_eq!("old:192.168.1.7".parse(), Ok(PeerKey::Legacy("192.168.1.7".parse().unwrap())));
        for bad in ["", "old:", "old:host", "ab", &"g".repeat(64), &"ä".repeat(32), &"a".repeat(65)] {
            assert!(bad.parse::<PeerKey>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_key_reads_back(bytes: [u8; 32]) {
            let key = PeerKey::Node(NodeId::from_bytes(bytes));
            prop_assert_eq!(key.to_string().parse(), Ok(key));
        }
    }
}
