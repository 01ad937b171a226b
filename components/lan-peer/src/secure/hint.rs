//! Hints about nodes' addresses.

use std::net::SocketAddr;

use protocol::lan::NodeId;

/// A notice to the dialler.
#[derive(Debug)]
pub(crate) enum Hint {
    /// The node may be at this address; the flag is set if it answered a challenge.
    At(NodeId, SocketAddr, bool),
    /// The node is connected and can be dialled at this address.
    Connected(NodeId, SocketAddr),
    /// A message waits for this node.
    Wanted(NodeId),
}
