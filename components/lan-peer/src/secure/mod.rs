//! The protocol between nodes: encrypted, mutually authenticated by keys, every message acknowledged.
//!
//! * `identity` is this node's key, `tls` authenticates with it, `wire` carries frames, `session` runs one connection, and `keepalive`
//!   detects dead peers.
//! * `listener` accepts connections, `handshakes` tracks those that have not authenticated, `dialler` makes connections; `links` has at
//!   most one for each peer. `mdns` is a source of addresses, limited by `mdns_guard`.

pub(crate) mod dialler;
pub(crate) mod handshakes;
pub(crate) mod hint;
pub(crate) mod identity;
mod keepalive;
pub(crate) mod links;
pub(crate) mod listener;
pub(crate) mod mdns;
mod mdns_guard;
mod session;
pub(crate) mod tls;
mod wire;
