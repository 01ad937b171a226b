//! Systems without socket monitoring: every written byte counts as acknowledged.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use super::{Link, Pulse, Unacknowledged};

/// Reports nothing.
#[derive(Debug)]
pub struct SendQueue;

impl SendQueue {
    /// Nothing to open.
    #[must_use]
    pub fn open() -> Self {
        Self
    }

    /// The amount of output on this socket that is not acknowledged.
    #[must_use]
    pub fn ask(&self, _: impl AsFd, _: SocketAddr, _: SocketAddr) -> Unacknowledged {
        Unacknowledged::Unknown
    }

    /// Signs of life of the peer's TCP.
    #[must_use]
    pub fn pulse(&self, _: impl AsFd, _: SocketAddr, _: SocketAddr) -> Option<Pulse> {
        None
    }

    /// The quality of the link to the peer.
    #[must_use]
    pub fn link(&self, _: impl AsFd, _: SocketAddr, _: SocketAddr) -> Option<Link> {
        None
    }
}
