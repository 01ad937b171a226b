//! Presence: announces this node and discovers others.
//!
//! * [`announce`] sends legacy presence and our beacon.
//! * [`receiver`] receives presence and answers new peers; [`proof`] verifies their addresses.
//! * [`sockets`] are shared by both: IPv4 broadcast, and IPv6 multicast, because IPv6 has no broadcast.

pub(crate) mod announce;
mod proof;
pub(crate) mod receiver;
mod sockets;

pub(crate) use proof::Proofs;
pub(crate) use sockets::open;

use crate::node::Node;

/// Counts a failure; the network may be reachable next time.
fn note(node: &Node, told: std::io::Result<()>) {
    if let Err(error) = told {
        node.counters.datagrams_unsent.add(1);
        tracing::debug!(%error, "presence not sent");
    }
}
