//! Where a peer may be.

use std::net::SocketAddr;

use protocol::lan::NodeId;

/// What the dialler is told.
#[derive(Debug)]
pub(crate) enum Hint {
    /// This peer may be at this address; the flag says whether somebody there has said so.
    At(NodeId, SocketAddr, bool),
    /// It is connected, and says that it can be dialled there.
    Met(NodeId, SocketAddr),
    /// Something waits for this peer.
    Wanted(NodeId),
}
