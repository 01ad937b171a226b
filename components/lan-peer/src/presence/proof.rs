//! Proofs that the sender of a datagram owns its source address: it has to return a number that only that address receives.
//!
//! The number is derived from the address, the node and a secret of this process, so no state is needed for senders that never answer.

use std::net::IpAddr;

use protocol::lan::NodeId;
use sha2::{Digest, Sha256};

/// Computes challenges.
#[derive(Debug)]
pub(crate) struct Proofs {
    secret: [u8; 32],
}

impl Proofs {
    /// Creates a new secret.
    pub(crate) fn new() -> std::io::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(std::io::Error::other)?;
        Ok(Self { secret })
    }

    /// The challenge for a node at an address. Small enough to be exact as a double.
    pub(super) fn number(&self, ip: IpAddr, id: &NodeId) -> u64 {
        let mut hash = Sha256::new().chain_update(self.secret).chain_update(id.as_bytes());
        match ip {
            IpAddr::V4(ip) => hash.update(ip.octets()),
            IpAddr::V6(ip) => hash.update(ip.octets()),
        }
        let digest = hash.finalize();
        let (first, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
        u64::from_be_bytes(*first) >> 11
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_of_one_address_one_node_and_one_process() {
        let (proofs, others) = (Proofs::new().unwrap(), Proofs::new().unwrap());
        let [one, other] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
        let here: IpAddr = [10, 0, 0, 1].into();
        let number = proofs.number(here, &one);
        assert_eq!(proofs.number(here, &one), number);
        assert!(number < 1 << 53);
        for another in [
            proofs.number(here, &other),
            proofs.number([10, 0, 0, 2].into(), &one),
            others.number(here, &one),
        ] {
            assert_ne!(another, number);
        }
    }
}
