//! Who is connected: one connection for each peer, at most [`MAX`]. Overflow rule: one more is refused.

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
    /// Where the peer is.
    pub(crate) remote: SocketAddr,
    /// Cancelled when the connection has to end.
    pub(crate) close: CancellationToken,
    /// Told when there is something to send.
    pub(crate) wake: Arc<Notify>,
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
    pub(crate) fn enter(
        &self,
        me: NodeId,
        peer: NodeId,
        dialled: bool,
        remote: SocketAddr,
    ) -> Result<Link, Refused> {
        let mut table = self.lock();
        let now = Instant::now();
        if let Some(old) = table.links.get(&peer) {
            let is_lower = |dialled_by_us: bool| dialled_by_us == (me < peer);
            let is_race = now.duration_since(old.since) < TOGETHER && old.dialled != dialled;
            if is_race && is_lower(old.dialled) {
                return Err(Refused::Twice);
            }
            old.close.cancel();
        } else if table.links.len() >= MAX {
            return Err(Refused::Full);
        }
        table.epoch += 1;
        let (close, wake) = (CancellationToken::new(), Arc::new(Notify::new()));
        let link = Link { epoch: table.epoch, since: now, dialled, remote, close, wake };
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

    /// Everybody who is connected, and where.
    pub(crate) fn all(&self) -> Vec<(NodeId, SocketAddr)> {
        self.lock().links.iter().map(|(peer, link)| (*peer, link.remote)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().expect("nobody panics while holding this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: NodeId = NodeId::from_bytes([1; 32]);
    const HIGH: NodeId = NodeId::from_bytes([2; 32]);

    fn at() -> SocketAddr {
        ([10, 0, 0, 1], 1).into()
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_connections_made_at_once_both_sides_keep_the_same() {
        for first_by_low in [true, false] {
            let (at_low, at_high) = (Links::default(), Links::default());
            let order = [first_by_low, !first_by_low];
            let low = order.map(|by_low| at_low.enter(LOW, HIGH, by_low, at()));
            let high = order.map(|by_low| at_high.enter(HIGH, LOW, !by_low, at()));
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
        let lost = links.enter(LOW, HIGH, true, at()).unwrap();
        tokio::time::advance(TOGETHER).await;
        let present = links.enter(LOW, HIGH, false, at()).unwrap();
        assert!(lost.close.is_cancelled() && !present.close.is_cancelled());
        assert!(!links.leave(HIGH, &lost) && links.has(HIGH));
        assert!(links.leave(HIGH, &present) && !links.has(HIGH));
    }

    #[test]
    fn there_is_a_bound() {
        let links = Links::default();
        for n in 0..MAX {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            links.enter(HIGH, NodeId::from_bytes(id), false, at()).unwrap();
        }
        assert_eq!(links.enter(HIGH, LOW, false, at()).unwrap_err(), Refused::Full);
    }
}
