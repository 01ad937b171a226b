//! That we are here, told to everybody, and who else is.
//!
//! * [`announce`] tells it: the old kind's presence, and the beacon of nodes of ours.
//! * [`receiver`] hears it, and answers whoever has just come; [`proof`] is how it finds out who is at an address.
//! * [`sockets`] are what both use: broadcast by IPv4, a group by IPv6, which has no broadcast.

pub(crate) mod announce;
mod proof;
pub(crate) mod receiver;
mod sockets;

pub(crate) use proof::Proofs;
pub(crate) use sockets::open;

use crate::node::Node;

/// A network that cannot be reached now may be the next time.
fn note(node: &Node, told: std::io::Result<()>) {
    if let Err(error) = told {
        node.counters.datagrams_unsent.add(1);
        tracing::debug!(%error, "presence not sent");
    }
}
