//! Any value of a DNS-SD record names a node or none, and a node's name is read again as the same; likewise who is meant.
#![no_main]

use fuzz::reached;
use libfuzzer_sys::fuzz_target;
use protocol::lan::service::node_in;
use protocol::lan::{NodeId, PeerKey};

fuzz_target!(|bytes: &[u8]| {
    if let Some(id) = node_in(Some(bytes)) {
        assert_eq!(node_in(Some(id.to_string().as_bytes())), Some(id));
        reached!("node");
    }
    if let Some(key) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<PeerKey>().ok()) {
        assert_eq!(key.to_string().parse(), Ok(key));
        match key {
            PeerKey::Node(_) => reached!("node-key"),
            PeerKey::Legacy(_) => reached!("old-key"),
        }
    }
    // Any 32 bytes are a node's id.
    if let Some((id, _)) = bytes.split_first_chunk::<32>() {
        let id = NodeId::from_bytes(*id);
        assert_eq!(node_in(Some(id.to_string().as_bytes())), Some(id));
        reached!("id");
    }
});
