//! Formats between peers on a local network without a server, and between a peer and its own page and terminal.
//!
//! * [`datagram`] is UDP presence, [`service`] a node's DNS-SD record.
//! * [`legacy`] is the unencrypted protocol of existing programs and its HTTP bodies, [`received`] an incoming message of it.
//! * [`frame`] is the frames inside the encrypted connections between nodes.
//! * [`peer`] identifies peers. [`view`] is the API of a peer's page and terminal.

pub mod datagram;
pub mod frame;
pub mod legacy;
pub mod peer;
pub mod received;
pub mod service;
pub mod view;

pub use peer::{NodeId, PeerKey};
