//! What peers on one network say to each other without a server, and what a peer says to its own page and terminal.
//!
//! * [`datagram`] is presence, [`service`] what DNS-SD says of a node.
//! * [`old`] is messages and HTTP bodies as existing programs know them, [`received`] such a message as it comes in.
//! * [`frame`] is what our own nodes say inside their encrypted connections.
//! * [`peer`] names who is meant. [`view`] is for people's eyes.

pub mod datagram;
pub mod frame;
pub mod old;
pub mod peer;
pub mod received;
pub mod service;
pub mod view;

pub use peer::{NodeId, PeerKey};
