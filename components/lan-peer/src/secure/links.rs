//! The connected peers: one connection each, at most [`MAX`], and [`STRANGERS`] with strangers at one address. Overflow rule: the newest
//! stranger of the address with the most strangers is closed, always for a known peer, and for another stranger only if both addresses keep
//! their share; otherwise the new connection is refused. Who is a stranger is determined at that moment: a peer that becomes known while
//! connected cannot be displaced by strangers from then on.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use protocol::lan::NodeId;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Most connections with peers.
const MAX: usize = 256;
/// Most connections with strangers at one address: identities cost nothing, addresses on this network do.
const STRANGERS: usize = 16;
/// Two connections made within this time are due to both sides dialling.
const TOGETHER: Duration = Duration::from_secs(2);

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Links(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    links: HashMap<NodeId, Link>,
    epoch: u64,
}

/// A handle to a connection.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// Distinguishes this connection from the peer's next one.
    epoch: u64,
    since: Instant,
    dialled: bool,
    /// The peer's address.
    pub(crate) remote: SocketAddr,
    /// Cancelled when the connection must close.
    pub(crate) close: CancellationToken,
    /// Notified when there is something to send.
    pub(crate) wake: Arc<Notify>,
}

/// A new connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// The peer.
    pub(crate) peer: NodeId,
    /// Whether we dialled.
    pub(crate) dialled: bool,
    /// The peer's address.
    pub(crate) remote: SocketAddr,
}

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// Both sides dialled, and the other connection stays.
    #[error("the other connection stays")]
    Duplicate,
    /// All places are taken.
    #[error("{MAX} peers are connected already")]
    Full,
}

impl Links {
    /// Adds a connection. It replaces an older one with the same peer, which has lost the old one if it connects again.
    ///
    /// If both sides dial at once, the connection dialled by the lower id stays; both sides decide the same.
    pub(crate) fn enter(
        &self,
        me: NodeId,
        arrival: Arrival,
        is_stranger: impl Fn(NodeId) -> bool,
    ) -> Result<Link, Refused> {
        let Arrival { peer, dialled, remote } = arrival;
        let mut table = self.lock();
        let now = Instant::now();
        if let Some(old) = table.links.get(&peer) {
            let is_lower = |dialled_by_us: bool| dialled_by_us == (me < peer);
            let is_race = now.duration_since(old.since) < TOGETHER && old.dialled != dialled;
            if is_race && is_lower(old.dialled) {
                return Err(Refused::Duplicate);
            }
            old.close.cancel();
        } else {
            table.make_room(arrival, is_stranger)?;
        }
        table.epoch += 1;
        let (close, wake) = (CancellationToken::new(), Arc::new(Notify::new()));
        let link = Link { epoch: table.epoch, since: now, dialled, remote, close, wake };
        table.links.insert(peer, link.clone());
        Ok(link)
    }

    /// Removes a closed connection. Returns whether it was the peer's current one.
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

    /// Whether the peer is connected.
    pub(crate) fn has(&self, peer: NodeId) -> bool {
        self.lock().links.contains_key(&peer)
    }

    /// The number of connections.
    pub(crate) fn count(&self) -> usize {
        self.lock().links.len()
    }

    /// All connected peers with their addresses.
    pub(crate) fn all(&self) -> Vec<(NodeId, SocketAddr)> {
        self.lock().links.iter().map(|(peer, link)| (*peer, link.remote)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().expect("nobody panics while holding this lock")
    }
}

impl Table {
    /// A displaced connection closes by itself and uses its place until then.
    fn make_room(&self, arrival: Arrival, is_stranger: impl Fn(NodeId) -> bool) -> Result<(), Refused> {
        let staying = || self.links.iter().filter(|(_, link)| !link.close.is_cancelled());
        let is_full = staying().count() >= MAX;
        let is_known = !is_stranger(arrival.peer);
        if is_known && !is_full {
            return Ok(());
        }
        let mut strangers: HashMap<IpAddr, Vec<&Link>> = HashMap::new();
        for (_, link) in staying().filter(|(peer, _)| is_stranger(**peer)) {
            strangers.entry(link.remote.ip()).or_default().push(link);
        }
        let here = strangers.get(&arrival.remote.ip()).map_or(0, Vec::len);
        if !is_known && here >= STRANGERS {
            return Err(Refused::Full);
        }
        if !is_full {
            return Ok(());
        }
        let newest = |there: &[&Link]| there.iter().map(|link| link.epoch).max();
        let most = strangers.values().max_by_key(|there| (there.len(), newest(there)));
        let there = most.filter(|there| is_known || there.len() > here + 1).ok_or(Refused::Full)?;
        there.iter().max_by_key(|link| link.epoch).map(|link| link.close.cancel()).ok_or(Refused::Full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: NodeId = NodeId::from_bytes([1; 32]);
    const HIGH: NodeId = NodeId::from_bytes([2; 32]);

    fn arrival(peer: NodeId, dialled: bool) -> Arrival {
        Arrival { peer, dialled, remote: ([10, 0, 0, 1], 1).into() }
    }

    fn nobody_is_known(_: NodeId) -> bool {
        true
    }

    fn everybody_is_known(_: NodeId) -> bool {
        false
    }

    /// The `n`th of many peers, each at its own address.
    fn nth(n: u32) -> Arrival {
        let mut id = [9; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let remote = (std::net::Ipv4Addr::from(0x0a00_0000 + n), 1).into();
        Arrival { remote, ..arrival(NodeId::from_bytes(id), false) }
    }

    #[tokio::test(start_paused = true)]
    async fn both_sides_keep_the_same_of_two_simultaneous_connections() {
        for first_by_low in [true, false] {
            let (at_low, at_high) = (Links::default(), Links::default());
            let order = [first_by_low, !first_by_low];
            let low = order.map(|by_low| at_low.enter(LOW, arrival(HIGH, by_low), nobody_is_known));
            let high = order.map(|by_low| at_high.enter(HIGH, arrival(LOW, !by_low), nobody_is_known));
            for (index, by_low) in order.into_iter().enumerate() {
                for side in [&low, &high] {
                    let stays = side[index].as_ref().is_ok_and(|link| !link.close.is_cancelled());
                    assert_eq!(stays, by_low);
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reconnects_replaces_its_lost_connection() {
        let links = Links::default();
        let lost = links.enter(LOW, arrival(HIGH, true), nobody_is_known).unwrap();
        tokio::time::advance(TOGETHER).await;
        let present = links.enter(LOW, arrival(HIGH, false), nobody_is_known).unwrap();
        assert!(lost.close.is_cancelled() && !present.close.is_cancelled());
        assert!(!links.leave(HIGH, &lost) && links.has(HIGH));
        assert!(links.leave(HIGH, &present) && !links.has(HIGH));
    }

    /// The maximum of peers, each at its own address.
    fn crowd(links: &Links) -> Vec<Link> {
        let max = u32::try_from(MAX).unwrap();
        (0..max).map(|n| links.enter(HIGH, nth(n), nobody_is_known).unwrap()).collect()
    }

    fn gone(links: &[Link]) -> Vec<usize> {
        links.iter().enumerate().filter(|(_, link)| link.close.is_cancelled()).map(|(n, _)| n).collect()
    }

    #[test]
    fn when_all_places_are_taken_strangers_make_room_for_known_peers() {
        let links = Links::default();
        let taken = crowd(&links);
        assert_eq!(links.enter(HIGH, nth(1000), nobody_is_known).unwrap_err(), Refused::Full);
        let newcomers = [1001, 1002].map(nth);
        for newcomer in newcomers {
            let is_stranger = |id| newcomers.iter().all(|known| known.peer != id);
            links.enter(HIGH, newcomer, is_stranger).unwrap();
        }
        assert_eq!(gone(&taken), [MAX - 2, MAX - 1]);
        assert_eq!(links.enter(HIGH, nth(1003), everybody_is_known).unwrap_err(), Refused::Full);
    }

    #[test]
    fn a_peer_that_becomes_known_while_connected_keeps_its_place() {
        let links = Links::default();
        let taken = crowd(&links);
        let (verified, newcomer) = (nth(u32::try_from(MAX).unwrap() - 1), nth(1000));
        links.enter(HIGH, newcomer, |id| id != verified.peer && id != newcomer.peer).unwrap();
        assert_eq!(gone(&taken), [MAX - 2], "the newest is no stranger any more");
    }

    #[test]
    fn strangers_at_one_address_are_limited() {
        let (links, first) = (Links::default(), nth(0));
        let same = |n| Arrival { remote: first.remote, ..nth(n) };
        for n in 0..u32::try_from(STRANGERS).unwrap() {
            links.enter(HIGH, same(n), nobody_is_known).unwrap();
        }
        assert_eq!(links.enter(HIGH, same(100), nobody_is_known).unwrap_err(), Refused::Full);
        assert!(links.enter(HIGH, same(101), |id| id != same(101).peer).is_ok());
        assert!(links.enter(HIGH, nth(102), nobody_is_known).is_ok());
    }

    #[test]
    fn a_stranger_with_many_addresses_leaves_others_a_share() {
        let links = Links::default();
        let (max, each) = (u32::try_from(MAX).unwrap(), u32::try_from(STRANGERS).unwrap());
        let at = |n: u32| Arrival { remote: nth(n / each).remote, ..nth(n) };
        let taken: Vec<Link> = (0..max).map(|n| links.enter(HIGH, at(n), nobody_is_known).unwrap()).collect();
        for n in 0..each - 1 {
            let honest = Arrival { remote: nth(5000).remote, ..nth(5000 + n) };
            links.enter(HIGH, honest, nobody_is_known).unwrap();
        }
        assert_eq!(gone(&taken).len(), STRANGERS - 1);
        let again = Arrival { remote: nth(0).remote, ..nth(6000) };
        assert_eq!(links.enter(HIGH, again, nobody_is_known).unwrap_err(), Refused::Full);
    }
}
