//! Lets connections in, as many as we can bear: so many a second from one address, and so many at once, beyond which they are closed
//! unread. Addresses at which people here know somebody have places of their own, so that strangers who take all others keep nobody out.
//!
//! Closing is cheap, so it is done at once, [`Gate::CONNECTIONS`] a second: what waits in the system's queue, [`Gate::BACKLOG`] at most,
//! is behind a flood for the time of a blink.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use kit::allowance::Allowance;
use kit::metrics::Counter;
use kit::places::{Place, Places};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// Addresses whose connections are counted. Overflow rule: all counts begin anew.
const COUNTED: usize = 1024;

/// What one listener lets in.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Places,
    /// For addresses where people here know somebody.
    familiar: Places,
    rate: u32,
    burst: u32,
    all: Allowance,
    by_address: HashMap<IpAddr, Allowance>,
}

impl Gate {
    /// Connections a second that are looked at.
    const CONNECTIONS: u32 = 2000;
    /// At once; the rest of the processor's time is the others'.
    const AT_ONCE: u32 = 200;
    /// Connections that may wait to be looked at.
    const BACKLOG: i32 = 256;

    /// As many at once as there are places; from one address `rate` a second for long, and `burst` at once.
    pub(crate) fn new(places: Places, familiar: Places, rate: u32, burst: u32) -> Self {
        let all = Allowance::new(Self::CONNECTIONS, Self::AT_ONCE, Instant::now());
        Self { places, familiar, rate, burst, all, by_address: HashMap::new() }
    }

    /// Shortens the queue of a listener.
    pub(crate) fn shorten(listener: &TcpListener) {
        if let Err(error) = SockRef::from(listener).listen(Self::BACKLOG) {
            tracing::debug!(%error, "the queue of connections keeps its length");
        }
    }

    /// The next connection that may come in; the others are closed and counted. The place is free when it is dropped.
    pub(crate) async fn admit(
        &mut self,
        listener: &TcpListener,
        refused: &Counter,
        is_familiar: impl Fn(IpAddr) -> bool,
    ) -> (TcpStream, IpAddr, Place) {
        loop {
            if let Err(at) = self.all.take(Instant::now()) {
                tokio::time::sleep_until(at).await;
            }
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let ip = peer.ip().to_canonical();
                    match self.place(ip, is_familiar(ip)) {
                        Some(place) => return (stream, ip, place),
                        None => refuse(&stream, refused),
                    }
                }
                Err(error) => {
                    // Out of files, as a rule; whoever wants in waits meanwhile.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn place(&mut self, ip: IpAddr, is_familiar: bool) -> Option<Place> {
        if self.by_address.len() >= COUNTED {
            self.by_address.clear();
        }
        let now = Instant::now();
        let (rate, burst) = (self.rate, self.burst);
        let allowance = self.by_address.entry(ip).or_insert_with(|| Allowance::new(rate, burst, now));
        if allowance.take(now).is_err() {
            return None;
        }
        self.places
            .take(ip)
            .or_else(|no_place| if is_familiar { self.familiar.take(ip) } else { Err(no_place) })
            .ok()
    }
}

/// Closed with a reset: the system need not remember it.
fn refuse(stream: &TcpStream, refused: &Counter) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    refused.add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whom_people_know_gets_in_when_strangers_have_taken_all_places() {
        let mut gate = Gate::new(Places::on_local_network(8, 4), Places::on_local_network(4, 2), 4, 16);
        let ip = |n: u8| IpAddr::from([10, 0, 0, n]);
        let taken: Vec<Place> =
            (1..=3).flat_map(|n| [n; 4]).filter_map(|n| gate.place(ip(n), false)).collect();
        assert_eq!(taken.len(), 8);
        assert!(gate.place(ip(4), false).is_none());
        let known: Vec<Place> = (0..2).map_while(|_| gate.place(ip(4), true)).collect();
        assert_eq!(known.len(), 2);
        assert!(gate.place(ip(4), true).is_none(), "an address that is known has no more than its share");
        assert!(gate.place(ip(6), false).is_none());
        drop(known);
        // So many a second from one address, known or not.
        let count = (0..100).filter(|_| gate.place(ip(5), true).is_some()).count();
        assert!((10..=16).contains(&count), "{count}");
    }
}
