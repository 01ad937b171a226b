//! Limits the rate of accepted connections per address; others are closed unread. The listener decides who gets a place.
//!
//! Closing is cheap, so it is done at once, [`AcceptLimit::CONNECTIONS`] per second; connections in the kernel's queue, at most
//! [`AcceptLimit::BACKLOG`], wait behind a flood only for a moment.

use std::net::IpAddr;
use std::time::Duration;

use kit::allowance::Allowance;
use kit::allowances::Allowances;
use kit::metrics::Counter;
use kit::places::network_of;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// Most addresses, and most IPv6 networks, whose connections are counted. An allowance refills within four seconds, and fewer connections
/// than this are accepted meanwhile: nobody gains a new burst by displacing its own entry.
const COUNTED: usize = 8192;
/// An IPv6 /64 has the rate and burst of this many addresses, because one machine can give itself any number of addresses in it.
const NETWORK: u32 = 16;

/// The accept limit of one listener.
#[derive(Debug)]
pub(crate) struct AcceptLimit {
    all: Allowance,
    by_address: Allowances<IpAddr>,
    by_network: Allowances<IpAddr>,
}

impl AcceptLimit {
    /// Most connections accepted per second.
    const CONNECTIONS: u32 = 2000;
    /// Most connections accepted in a burst; leaves processor time to others.
    const AT_ONCE: u32 = 200;
    /// Most connections waiting to be accepted.
    const BACKLOG: i32 = 256;

    /// Allows `rate` connections per second from one address, with bursts of `burst`.
    pub(crate) fn new(rate: u32, burst: u32) -> Self {
        Self {
            all: Allowance::new(Self::CONNECTIONS, Self::AT_ONCE, Instant::now()),
            by_address: Allowances::new(rate, burst, COUNTED),
            by_network: Allowances::new(NETWORK * rate, NETWORK * burst, COUNTED),
        }
    }

    /// Limits the backlog of a listener.
    pub(crate) fn shorten(listener: &TcpListener) {
        if let Err(error) = SockRef::from(listener).listen(Self::BACKLOG) {
            tracing::debug!(%error, "the queue of connections keeps its length");
        }
    }

    /// The next admitted connection, with the place that `place` returns for it. Connections without a place are closed and counted.
    pub(crate) async fn admit<P>(
        &mut self,
        listener: &TcpListener,
        refused: &Counter,
        is_familiar: impl Fn(IpAddr) -> bool,
        place: impl Fn(IpAddr, bool) -> Option<P>,
    ) -> (TcpStream, IpAddr, P) {
        loop {
            if let Err(at) = self.all.take(Instant::now()) {
                tokio::time::sleep_until(at).await;
            }
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let ip = peer.ip().to_canonical();
                    let is_familiar = is_familiar(ip);
                    let is_within = self.is_within(ip, is_familiar, Instant::now());
                    match is_within.then(|| place(ip, is_familiar)).flatten() {
                        Some(place) => return (stream, ip, place),
                        None => refuse(&stream, refused),
                    }
                }
                Err(error) => {
                    // Usually out of files; connections wait meanwhile.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Checks the network first, so that a flood from it does not fill the table of addresses. The network's limit does not apply to
    /// familiar addresses, which may share a network with the flood.
    fn is_within(&mut self, ip: IpAddr, is_familiar: bool, now: Instant) -> bool {
        let is_counted = ip.is_ipv6() && !is_familiar;
        (!is_counted || self.by_network.take(network_of(ip), now).is_ok())
            && self.by_address.take(ip, now).is_ok()
    }
}

/// Closes with a reset, which leaves no state in the kernel.
fn refuse(stream: &TcpStream, refused: &Counter) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    refused.add(1);
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn v6(host: u32) -> IpAddr {
        Ipv6Addr::from_bits(0xfd77 << 112 | u128::from(host)).into()
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_reset_nobodys_rate() {
        let (mut accept_limit, mut now) = (AcceptLimit::new(4, 16), Instant::now());
        let stubborn: IpAddr = [192, 168, 0, 1].into();
        let mut admitted = 0;
        for n in 0..20_000 {
            // As fast as connections are accepted.
            now += Duration::from_micros(500);
            accept_limit.is_within(Ipv4Addr::from(0x0a00_0000 + n).into(), false, now);
            if n % 100 == 0 {
                admitted += u32::from(accept_limit.is_within(stubborn, false, now));
            }
        }
        assert!((55..=56).contains(&admitted), "16 at once and 4 a second for 10 s, not {admitted}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_with_many_ipv6_addresses_is_one_network() {
        let (mut accept_limit, now) = (AcceptLimit::new(4, 16), Instant::now());
        let admitted = (0..10_000).filter(|n| accept_limit.is_within(v6(*n), false, now)).count();
        assert_eq!(admitted, 16 * 16);
        assert!(accept_limit.is_within(v6(20_000), true, now), "whom people know is not kept out by it");
        assert!(accept_limit.is_within([10, 0, 0, 1].into(), false, now), "nor is anybody by IPv4");
        let count = (0..100).filter(|_| accept_limit.is_within(v6(20_000), true, now)).count();
        assert_eq!(count, 15, "known or not, so many from one address");
    }
}
