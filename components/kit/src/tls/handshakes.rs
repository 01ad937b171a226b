//! The handshakes in progress.
//!
//! Bounds: [`MOST`] at once and [`PER_ADDRESS`] from one address other than this machine, for [`PATIENCE`] each. Overflow rule: a further
//! connection of such an address is closed; when all places are taken, further connections wait in the kernel's backlog, and the oldest
//! handshake is closed once it is older than [`YOUNG`], so that silent connections keep nobody out for long.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::places::{NoPlace, Place, Places};

/// A handshake holds up to 64 KiB of a peer's incomplete message, mostly far less than 10.
const MOST: usize = 512;
/// Many users may share one address.
const PER_ADDRESS: usize = 64;
/// A handshake that is older keeps nobody waiting who could hurry: it takes two round trips.
const YOUNG: Duration = Duration::from_secs(2);
/// Time limit for a handshake.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The handshakes in progress. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handshakes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    table: Mutex<Table>,
    freed: Notify,
    places: Places,
}

#[derive(Debug, Default)]
struct Table {
    /// Oldest first.
    begun: VecDeque<Begun>,
    count: u64,
}

#[derive(Debug)]
struct Begun {
    number: u64,
    at: Instant,
    displaced: CancellationToken,
}

/// A handshake's place, released on drop.
#[derive(Debug)]
pub struct Handshake {
    handshakes: Handshakes,
    number: u64,
    pub(super) displaced: CancellationToken,
    _place: Place,
}

impl Default for Handshakes {
    fn default() -> Self {
        let places = Places::new(usize::MAX, PER_ADDRESS);
        Self(Arc::new(Inner { table: Mutex::default(), freed: Notify::new(), places }))
    }
}

impl Handshakes {
    /// Waits for a place for a connection from this address; `None` is a proxy's, whose client is not known yet. Cancel-safe.
    ///
    /// # Errors
    /// If this address has too many.
    pub async fn begin(&self, ip: Option<IpAddr>) -> Result<Handshake, NoPlace> {
        let place = match ip {
            Some(ip) => self.0.places.take(ip)?,
            None => self.0.places.take_any()?,
        };
        loop {
            let freed = self.0.freed.notified();
            let mut freed = std::pin::pin!(freed);
            freed.as_mut().enable();
            let oldest = match self.try_begin() {
                Ok((number, displaced)) => {
                    return Ok(Handshake { handshakes: self.clone(), number, displaced, _place: place });
                }
                Err(oldest) => oldest,
            };
            tokio::select! {
                () = freed => {}
                () = sleep_until(oldest + YOUNG) => {}
            }
        }
    }

    /// Takes a place, or returns when the oldest handshake began.
    fn try_begin(&self) -> Result<(u64, CancellationToken), Instant> {
        let (mut table, now) = (self.lock(), Instant::now());
        if table.begun.len() >= MOST
            && let Some(oldest) = table.begun.front()
        {
            if now < oldest.at + YOUNG {
                return Err(oldest.at);
            }
            oldest.displaced.cancel();
            table.begun.pop_front();
        }
        table.count += 1;
        let (number, displaced) = (table.count, CancellationToken::new());
        table.begun.push_back(Begun { number, at: now, displaced: displaced.clone() });
        Ok((number, displaced))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.handshakes.lock().begun.retain(|one| one.number != self.number);
        self.handshakes.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[tokio::test(start_paused = true)]
    async fn the_oldest_makes_room_once_it_is_old() {
        let handshakes = Handshakes::default();
        let mut begun = Vec::new();
        for _ in 0..MOST {
            begun.push(handshakes.begin(HERE).await.unwrap());
        }
        let start = Instant::now();
        let next = handshakes.begin(HERE).await.unwrap();
        assert_eq!(start.elapsed(), YOUNG);
        assert!(begun[0].displaced.is_cancelled() && !begun[1].displaced.is_cancelled());
        drop(next);
        assert_eq!(handshakes.lock().begun.len(), MOST - 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_the_place_that_becomes_free() {
        let handshakes = Handshakes::default();
        let mut begun = Vec::new();
        for _ in 0..MOST {
            begun.push(handshakes.begin(HERE).await.unwrap());
        }
        let start = Instant::now();
        let (next, ()) = tokio::join!(handshakes.begin(HERE), async { drop(begun.pop()) });
        assert!(next.is_ok() && start.elapsed().is_zero());
    }

    #[tokio::test]
    async fn one_address_has_its_share() {
        let handshakes = Handshakes::default();
        let ip = Some("192.0.2.1".parse().unwrap());
        let mut begun = Vec::new();
        for _ in 0..PER_ADDRESS {
            begun.push(handshakes.begin(ip).await.unwrap());
        }
        assert_eq!(handshakes.begin(ip).await.unwrap_err(), NoPlace::Address);
        drop(begun.pop());
        assert!(handshakes.begin(ip).await.is_ok());
        assert!(handshakes.begin(Some("192.0.2.2".parse().unwrap())).await.is_ok());
    }
}
