//! What our own nodes speak among each other: encrypted, both sides proved by their keys, every message acknowledged.
//!
//! * `identity` is who we are, `tls` proves it, `wire` carries frames, `session` is one connection at work, and `keepalive` finds out whether it still is.
//! * `listener` takes connections in, `handshakes` has those that have not said who they are, `dialler` makes them; `links` has at most
//!   one for each peer. `mdns` is one of its
//!   sources, and `mdns_guard` what it may cost.

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
