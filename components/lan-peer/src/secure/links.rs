//! Who is connected: one connection for each peer, at most [`MAX`], and [`STRANGERS`] with strangers at one address. Overflow rule: one
//! more is refused; but somebody with whom people here have to do takes the place of the newest stranger.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use protocol::lan::NodeId;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Connections with peers.
const MAX: usize = 256;
/// Connections with strangers at one address: a new identity costs nothing, an address on this network does.
const STRANGERS: usize = 16;
/// Two connections that were made this soon after each other were made because both sides dialled.
const TOGETHER: Duration = Duration::from_secs(2);

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Links(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    links: HashMap<NodeId, Link>,
    epoch: u64,
}

/// A connection as the others see it.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// Tells this connection from the peer's next one.
    epoch: u64,
    since: Instant,
    dialled: bool,
    is_stranger: bool,
    /// Where the peer is.
    pub(crate) remote: SocketAddr,
    /// Cancelled when the connection has to end.
    pub(crate) close: CancellationToken,
    /// Told when there is something to send.
    pub(crate) wake: Arc<Notify>,
}

/// A connection that was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// With whom.
    pub(crate) peer: NodeId,
    /// Whether we dialled.
    pub(crate) dialled: bool,
    /// Where they are.
    pub(crate) remote: SocketAddr,
    /// Whether people here have nothing to do with them.
    pub(crate) is_stranger: bool,
}

/// There is no link to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// Both sides dialled, and the other connection is the one that stays.
    #[error("the other connection stays")]
    Twice,
    /// There are as many as may be.
    #[error("{MAX} peers are connected already")]
    Full,
}

impl Links {
    /// A connection with a peer is made; it takes the place of an older one, for whoever connects anew has lost the old one.
    ///
    /// When both sides dial at once there are two: then that of the lower id stays, and both sides see it the same way.
    pub(crate) fn enter(&self, me: NodeId, arrival: Arrival) -> Result<Link, Refused> {
        let Arrival { peer, dialled, remote, is_stranger } = arrival;
        let mut table = self.lock();
        let now = Instant::now();
        if let Some(old) = table.links.get(&peer) {
            let is_lower = |dialled_by_us: bool| dialled_by_us == (me < peer);
            let is_race = now.duration_since(old.since) < TOGETHER && old.dialled != dialled;
            if is_race && is_lower(old.dialled) {
                return Err(Refused::Twice);
            }
            old.close.cancel();
        } else {
            table.make_room(arrival)?;
        }
        table.epoch += 1;
        let (close, wake) = (CancellationToken::new(), Arc::new(Notify::new()));
        let link = Link { epoch: table.epoch, since: now, dialled, is_stranger, remote, close, wake };
        table.links.insert(peer, link.clone());
        Ok(link)
    }

    /// It ended. Returns whether it was the peer's present one.
    pub(crate) fn leave(&self, peer: NodeId, link: &Link) -> bool {
        let mut table = self.lock();
        let is_present = table.links.get(&peer).is_some_and(|present| present.epoch == link.epoch);
        if is_present {
            table.links.remove(&peer);
        }
        is_present
    }

    /// The connection with a peer.
    pub(crate) fn of(&self, peer: NodeId) -> Option<Link> {
        self.lock().links.get(&peer).cloned()
    }

    /// Whether there is one.
    pub(crate) fn has(&self, peer: NodeId) -> bool {
        self.lock().links.contains_key(&peer)
    }

    /// How many are connected.
    pub(crate) fn count(&self) -> usize {
        self.lock().links.len()
    }

    /// Everybody who is connected, and where.
    pub(crate) fn all(&self) -> Vec<(NodeId, SocketAddr)> {
        self.lock().links.iter().map(|(peer, link)| (*peer, link.remote)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().expect("nobody panics while holding this lock")
    }
}

impl Table {
    /// Whoever has to go ends by itself, and has its place until then.
    fn make_room(&self, arrival: Arrival) -> Result<(), Refused> {
        let staying = || self.links.values().filter(|link| !link.close.is_cancelled());
        let strangers = || staying().filter(|link| link.is_stranger);
        let from_there = strangers().filter(|link| link.remote.ip() == arrival.remote.ip()).count();
        if arrival.is_stranger && from_there >= STRANGERS {
            return Err(Refused::Full);
        }
        if staying().count() < MAX {
            return Ok(());
        }
        let newest = strangers().max_by_key(|link| link.epoch).filter(|_| !arrival.is_stranger);
        newest.map(|link| link.close.cancel()).ok_or(Refused::Full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: NodeId = NodeId::from_bytes([1; 32]);
    const HIGH: NodeId = NodeId::from_bytes([2; 32]);

    fn arrival(peer: NodeId, dialled: bool) -> Arrival {
        Arrival { peer, dialled, remote: ([10, 0, 0, 1], 1).into(), is_stranger: true }
    }

    /// The `n`th of many, each at an address of its own.
    fn nth(n: u32) -> Arrival {
        let mut id = [9; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let remote = (std::net::Ipv4Addr::from(0x0a00_0000 + n), 1).into();
        Arrival { remote, ..arrival(NodeId::from_bytes(id), false) }
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_connections_made_at_once_both_sides_keep_the_same() {
        for first_by_low in [true, false] {
            let (at_low, at_high) = (Links::default(), Links::default());
            let order = [first_by_low, !first_by_low];
            let low = order.map(|by_low| at_low.enter(LOW, arrival(HIGH, by_low)));
            let high = order.map(|by_low| at_high.enter(HIGH, arrival(LOW, !by_low)));
            for (index, by_low) in order.into_iter().enumerate() {
                for side in [&low, &high] {
                    let stays = side[index].as_ref().is_ok_and(|link| !link.close.is_cancelled());
                    assert_eq!(stays, by_low);
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_again_takes_the_place_of_the_lost_connection() {
        let links = Links::default();
        let lost = links.enter(LOW, arrival(HIGH, true)).unwrap();
        tokio::time::advance(TOGETHER).await;
        let present = links.enter(LOW, arrival(HIGH, false)).unwrap();
        assert!(lost.close.is_cancelled() && !present.close.is_cancelled());
        assert!(!links.leave(HIGH, &lost) && links.has(HIGH));
        assert!(links.leave(HIGH, &present) && !links.has(HIGH));
    }

    #[test]
    fn when_all_places_are_taken_strangers_make_room_for_whom_we_know() {
        let (links, max) = (Links::default(), u32::try_from(MAX).unwrap());
        let taken: Vec<Link> = (0..max).map(|n| links.enter(HIGH, nth(n)).unwrap()).collect();
        assert_eq!(links.enter(HIGH, nth(max)).unwrap_err(), Refused::Full);
        for n in 1..=2 {
            links.enter(HIGH, Arrival { is_stranger: false, ..nth(max + n) }).unwrap();
        }
        let gone: Vec<bool> = taken.iter().map(|link| link.close.is_cancelled()).collect();
        assert_eq!(gone.iter().filter(|gone| **gone).count(), 2);
        assert!(gone.ends_with(&[true, true]));
    }

    #[test]
    fn nobody_is_many_at_one_address() {
        let (links, first) = (Links::default(), nth(0));
        let same = |n| Arrival { remote: first.remote, ..nth(n) };
        for n in 0..u32::try_from(STRANGERS).unwrap() {
            links.enter(HIGH, same(n)).unwrap();
        }
        assert_eq!(links.enter(HIGH, same(100)).unwrap_err(), Refused::Full);
        assert!(links.enter(HIGH, Arrival { is_stranger: false, ..same(101) }).is_ok());
        assert!(links.enter(HIGH, nth(102)).is_ok());
    }
}
