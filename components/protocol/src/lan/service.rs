//! What nodes publish by DNS-SD (RFC 6763). Unauthenticated, as presence is.

use super::peer::NodeId;

/// The DNS-SD service type.
pub const SERVICE: &str = "_p2pchat._tcp.local.";
/// The TXT record key of the node's id.
pub const ID: &str = "id";

/// Parses a node id from the value of [`ID`] in a TXT record; `None` unless it is 64 hexadecimal digits.
#[must_use]
pub fn node_in(value: Option<&[u8]>) -> Option<NodeId> {
    std::str::from_utf8(value?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_complete_id_names_a_node() {
        let id = NodeId::from_bytes([0xab; 32]);
        assert_eq!(node_in(Some("ab".repeat(32).as_bytes())), Some(id));
        for bad in
            [None, Some(&b""[..]), Some(b"\xff"), Some(&[b'a'; 63]), Some(&[b'a'; 65]), Some(&[b'g'; 64])]
        {
            assert_eq!(node_in(bad), None);
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_do_not_panic(bytes: Vec<u8>, id: [u8; 32], at in 0usize..64, other: u8) {
            let _ = node_in(Some(&bytes));
            let id = NodeId::from_bytes(id);
            let mut text = id.to_string().into_bytes();
            prop_assert_eq!(node_in(Some(&text)), Some(id));
            text[at] = other;
            prop_assert_eq!(node_in(Some(&text)).is_some(), other.is_ascii_hexdigit());
        }
    }
}
