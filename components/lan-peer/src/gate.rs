//! Lets connections in, as many as we can bear: [`Gate::CONNECTIONS`] a second in all, beyond which they wait in the system's queue;
//! so many a second from one address, and so many at once, beyond which they are closed unread.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use kit::allowance::Allowance;
use kit::metrics::Counter;
use kit::places::{Place, Places};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// Addresses whose connections are counted. Overflow rule: all counts begin anew.
const COUNTED: usize = 1024;

/// What one listener lets in.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Places,
    rate: u32,
    burst: u32,
    all: Allowance,
    by_address: HashMap<IpAddr, Allowance>,
}

impl Gate {
    /// Connections a second that are looked at.
    const CONNECTIONS: u32 = 400;

    /// As many at once as there are places; from one address `rate` a second for long, and `burst` at once.
    pub(crate) fn new(places: Places, rate: u32, burst: u32) -> Self {
        let all = Allowance::new(Self::CONNECTIONS, Self::CONNECTIONS, Instant::now());
        Self { places, rate, burst, all, by_address: HashMap::new() }
    }

    /// The next connection that may come in; the others are closed and counted. The place is free when it is dropped.
    pub(crate) async fn admit(
        &mut self,
        listener: &TcpListener,
        refused: &Counter,
    ) -> (TcpStream, IpAddr, Place) {
        loop {
            if let Err(at) = self.all.take(Instant::now()) {
                tokio::time::sleep_until(at).await;
            }
            match listener.accept().await {
                Ok((stream, peer)) => match self.place(peer.ip().to_canonical()) {
                    Some(place) => return (stream, peer.ip().to_canonical(), place),
                    None => refused.add(1),
                },
                Err(error) => {
                    // Out of files, as a rule; whoever wants in waits meanwhile.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn place(&mut self, ip: IpAddr) -> Option<Place> {
        if self.by_address.len() >= COUNTED {
            self.by_address.clear();
        }
        let now = Instant::now();
        let (rate, burst) = (self.rate, self.burst);
        let allowance = self.by_address.entry(ip).or_insert_with(|| Allowance::new(rate, burst, now));
        self.places.take(ip).filter(|_| allowance.take(now).is_ok())
    }
}
