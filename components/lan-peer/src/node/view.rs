//! What the page, the doctor and programs of the old kind are shown.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::Timestamp;
use protocol::lan::view::{Event, Me, Overview};
use tokio::time::Instant;

use super::state::{Node, Troubles};
use crate::doctor::Facts;
use crate::metrics::Present;
use crate::secure::identity;
use crate::store::StoreError;

/// Pages hear of changes among the peers at most this often.
const CHANGES: Duration = Duration::from_millis(250);
/// The doctor tells of what was not kept for this long.
const LATELY: Duration = Duration::from_secs(600);
/// Who went is noticed this often.
const EXPIRE: Duration = Duration::from_secs(1);

impl Node {
    /// Everybody, for the page.
    pub(crate) async fn overview(&self) -> Result<Overview, StoreError> {
        let waiting = self.store.waiting_counts().await?;
        let mut peers = self.book().list(Instant::now(), &self.name());
        peers.iter_mut().for_each(|peer| peer.waiting = waiting.get(&peer.key).copied().unwrap_or(0));
        let me = Me {
            id: self.me,
            name: self.name(),
            fingerprint: identity::fingerprint(&self.me),
            link: identity::link(&self.me),
        };
        Ok(Overview { me, peers })
    }

    /// How many are there.
    pub(crate) fn online(&self) -> usize {
        self.present().len()
    }

    /// How many there are of each kind, with so many followers.
    pub(crate) fn counts(&self, followers: usize) -> Present {
        let (found, connected) = (self.found.load(Ordering::Relaxed), self.links.all().len());
        Present { online: self.online(), found, connected, handshakes: self.handshakes.count(), followers }
    }

    /// Every address that somebody is at, and when they were heard there.
    pub(crate) fn present(&self) -> BTreeMap<IpAddr, Timestamp> {
        let heard = self.book().present(Instant::now());
        let nodes = self.links.all().into_iter().map(|(_, remote)| (remote.ip(), Timestamp::now()));
        nodes.chain(heard).collect()
    }

    /// What the doctor looks at.
    pub(crate) fn facts(&self) -> Facts {
        let counters = &self.counters;
        let Troubles { deaf, closed, unstored } = &*self.troubles();
        Facts {
            networks: self.interfaces.borrow().names(),
            left_out: self.interfaces.borrow().left_out().map(str::to_owned).collect(),
            can_broadcast: self.interfaces.borrow().broadcasts().next().is_some(),
            is_container: ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists()),
            udp_port: self.config.udp_port,
            tcp_port: self.config.tcp_port,
            port: self.port,
            wanted_port: self.config.secure_port,
            deaf: deaf.clone(),
            closed: closed.clone(),
            unstored: unstored.as_ref().filter(|(_, at)| at.elapsed() < LATELY).map(|(why, _)| why.clone()),
            mdns: self.config.mdns.then(|| counters.mdns.get()),
            unsent: counters.datagrams_unsent.get(),
            own: counters.datagrams_own.get(),
            own_ipv6: counters.datagrams_own_ipv6.get(),
            others: counters.datagrams_others.get(),
            strange: counters.datagrams_strange.get(),
            online: self.online(),
            dials: counters.dials.get(),
            wrong_keys: counters.wrong_keys.get(),
        }
    }
}

/// Tells the pages of comings and goings, and notices who went, for ever.
pub(crate) async fn tell_changes(node: Arc<Node>) {
    let mut ticks = tokio::time::interval(EXPIRE);
    loop {
        tokio::select! {
            () = node.changed.notified() => {
                node.publish(Event::Peers);
                tokio::time::sleep(CHANGES).await;
            }
            _ = ticks.tick() => {
                if node.book().expire(Instant::now()) {
                    node.changed.notify_one();
                }
            }
        }
    }
}
