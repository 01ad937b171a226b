//! Views of the node for the page, the doctor and legacy programs.

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

/// Shortest interval between notifications about changed peers.
const CHANGES: Duration = Duration::from_millis(250);
/// How long the doctor reports a failure to store messages.
const LATELY: Duration = Duration::from_secs(600);
/// How often peers are checked for going offline.
const EXPIRE: Duration = Duration::from_secs(1);

impl Node {
    /// All peers, for the page.
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

    /// The number of online peers.
    pub(crate) fn online(&self) -> usize {
        self.present().len()
    }

    /// The values of the gauges.
    pub(crate) fn counts(&self, followers: usize) -> Present {
        let (found, connected) = (self.found.load(Ordering::Relaxed), self.links.all().len());
        Present { online: self.online(), found, connected, handshakes: self.handshakes.count(), followers }
    }

    /// All online addresses with the time of their last presence.
    pub(crate) fn present(&self) -> BTreeMap<IpAddr, Timestamp> {
        let heard = self.book().present(Instant::now());
        let nodes = self.links.all().into_iter().map(|(_, remote)| (remote.ip(), Timestamp::now()));
        nodes.chain(heard).collect()
    }

    /// The observations for the doctor.
    pub(crate) fn facts(&self) -> Facts {
        let counters = &self.counters;
        let Troubles { presence_error, receiver_error, store_error } = &*self.troubles();
        Facts {
            networks: self.interfaces.borrow().names(),
            left_out: self.interfaces.borrow().left_out().map(str::to_owned).collect(),
            can_broadcast: self.interfaces.borrow().broadcasts().next().is_some(),
            is_container: ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists()),
            udp_port: self.config.udp_port,
            tcp_port: self.config.tcp_port,
            port: self.port,
            wanted_port: self.config.secure_port,
            presence_error: presence_error.clone(),
            receiver_error: receiver_error.clone(),
            store_error: store_error
                .as_ref()
                .filter(|(_, at)| at.elapsed() < LATELY)
                .map(|(why, _)| why.clone()),
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

/// Notifies pages when peers go online or offline, and detects the latter, for ever.
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
