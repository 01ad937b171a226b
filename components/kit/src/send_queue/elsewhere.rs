//! Where there is no socket monitoring every written byte counts as taken.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use super::{Link, Pulse, Unacknowledged};

/// Asks nobody.
#[derive(Debug)]
pub struct SendQueue;

impl SendQueue {
    /// Nothing to open.
    #[must_use]
    pub fn open() -> Self {
        Self
    }

    /// How much of what went from `local` to `peer` through this socket is not acknowledged.
    #[must_use]
    pub fn ask(&self, _: impl AsFd, _: SocketAddr, _: SocketAddr) -> Unacknowledged {
        Unacknowledged::Unknown
    }

    /// Whether the peer's TCP lives.
    #[must_use]
    pub fn pulse(&self, _: impl AsFd, _: SocketAddr, _: SocketAddr) -> Option<Pulse> {
        None
    }

    /// What the link to the peer is like.
    #[must_use]
    pub fn link(&self, _: impl AsFd, _: SocketAddr, _: SocketAddr) -> Option<Link> {
        None
    }
}
