//! Where there is no socket monitoring every written byte counts as taken.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use super::{Pulse, Unacknowledged};

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

    /// How long a round trip to the peer takes.
    #[must_use]
    pub fn round_trip(&self, _: impl AsFd, _: SocketAddr, _: SocketAddr) -> Option<Duration> {
        None
    }

    /// How many segments were sent to the peer again.
    #[must_use]
    pub fn retransmitted(&self, _: impl AsFd, _: SocketAddr, _: SocketAddr) -> Option<u32> {
        None
    }
}
