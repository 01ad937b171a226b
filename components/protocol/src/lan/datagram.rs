//! Presence: what goes out to everybody on UDP port 5000. A hint, never a proof: anybody can send it under any address.

use std::time::Duration;

/// The whole payload of presence.
pub const PRESENCE: &[u8] = b"HEY THERE..";
/// How often it is sent.
pub const PRESENCE_EVERY: Duration = Duration::from_secs(2);
/// A peer that was silent for this long is gone.
pub const SILENCE: Duration = Duration::from_secs(10);
/// Longest datagram that we read.
pub const DATAGRAM_BYTES: usize = 512;

/// One datagram that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datagram {
    /// Somebody is there.
    Presence,
}

impl Datagram {
    /// Reads a datagram; `None` for everything that means nothing.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        (bytes == PRESENCE).then_some(Self::Presence)
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
    }

    proptest! {
        #[test]
        fn whatever_comes_is_survived(bytes: Vec<u8>) {
            prop_assert_eq!(Datagram::parse(&bytes).is_some(), bytes == PRESENCE);
        }
    }
}
