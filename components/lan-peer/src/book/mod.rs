//! The known peers, online and offline: pure state; the caller supplies the time.
//!
//! Entries are persistent or transient. Peers with a conversation or a name given here are also stored on disk. The others are transient:
//! at most [`MAX_TRANSIENT`], dropped when they go silent. Overflow rule: while all places are taken, new peers are not listed; listed and
//! persistent peers are never displaced.
//!
//! Names are not authenticated, and names that look the same are equal (UTS 39). If the user knows a name, because they have talked with
//! its owner, verified it or named it, and the name appears with another key, the user is warned. Two strangers with the same name cause no
//! warning, because many machines keep their factory host name; they are displayed with part of their keys.

mod peer;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use kit::allowance::Allowance;
use protocol::Timestamp;
use protocol::lan::datagram::PRESENCE_EVERY;
use protocol::lan::view::{Peer, Trust};
use protocol::lan::{NodeId, PeerKey};
use tokio::time::Instant;

use crate::name;
use crate::store::Person;
pub(crate) use peer::Evidence;
use peer::Known;

/// Most transient peers.
const MAX_TRANSIENT: usize = 1024;
/// Most addresses stored per node.
const MAX_ADDRESSES: usize = 4;
/// Most new peers per second, sustained; more than a real network has, and bounds the work for a flood.
const NEW: u32 = 200;

/// All known peers.
#[derive(Debug)]
pub(crate) struct Book {
    peers: HashMap<PeerKey, Known>,
    /// The number of transient peers.
    transient: usize,
    fresh: Allowance,
}

/// The result when a node has authenticated.
#[derive(Debug)]
pub(crate) struct Authenticated {
    /// The node's entry from now on.
    pub(crate) person: Person,
    /// It uses the name of another peer that the user knows.
    pub(crate) is_suspect: bool,
}

/// The effect of a sighting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sighting {
    /// The peer was offline.
    New,
    /// The peer was online.
    Known,
    /// There is no room for another peer.
    NoRoom,
}

impl Book {
    /// Starts with the stored peers.
    pub(crate) fn new(people: Vec<Person>, now: Instant) -> Self {
        let known = |person: Person| (person.key, Known { is_persistent: true, ..Known::new(person) });
        Self {
            peers: people.into_iter().map(known).collect(),
            transient: 0,
            fresh: Allowance::new(NEW, NEW, now),
        }
    }

    /// Records a sighting of a peer.
    pub(crate) fn record_sighting(
        &mut self,
        key: PeerKey,
        by: Evidence,
        now: Instant,
        at: Timestamp,
    ) -> Sighting {
        if let Some(known) = self.peers.get_mut(&key) {
            let was_online = known.is_online(now);
            known.record_sighting(by, now);
            known.person.last_seen = at;
            return if was_online { Sighting::Known } else { Sighting::New };
        }
        if self.transient >= MAX_TRANSIENT || self.fresh.take(now).is_err() {
            return Sighting::NoRoom;
        }
        self.transient += 1;
        let mut known = Known::new(Person::new(key, at));
        known.record_sighting(by, now);
        self.peers.insert(key, known);
        Sighting::New
    }

    /// Records a message from or to a peer; `is_ours` if we sent it. The peer is persistent from now on. Returns it if it must be stored.
    pub(crate) fn record_message(&mut self, key: PeerKey, is_ours: bool, at: Timestamp) -> Option<Person> {
        let was_persistent = self.peers.get(&key).is_some_and(|known| known.is_persistent);
        let known = self.make_persistent(key, at);
        known.person.has_talked = true;
        known.person.has_been_written_to |= is_ours;
        (!was_persistent).then(|| known.person.clone())
    }

    fn make_persistent(&mut self, key: PeerKey, at: Timestamp) -> &mut Known {
        let known = self.peers.entry(key).or_insert_with(|| {
            self.transient += 1;
            Known::new(Person::new(key, at))
        });
        if !known.is_persistent {
            known.is_persistent = true;
            self.transient -= 1;
        }
        known
    }

    /// Renames a peer locally; returns it to be stored.
    pub(crate) fn rename(&mut self, key: PeerKey, name: String) -> Option<Person> {
        let known = self.peers.get_mut(&key)?;
        known.person.given = name;
        if !known.is_persistent {
            known.is_persistent = true;
            self.transient -= 1;
        }
        Some(known.person.clone())
    }

    /// Makes these peers transient again; they are dropped when they go offline.
    pub(crate) fn forget(&mut self, gone: &[PeerKey]) {
        for key in gone {
            if let Some(known) = self.peers.get_mut(key).filter(|known| known.is_persistent) {
                known.is_persistent = false;
                (known.person.has_talked, known.person.has_been_written_to) = (false, false);
                self.transient += 1;
            }
        }
    }

    /// Records an authenticated node, its own name, and the address at which it can be dialled.
    pub(crate) fn record_authenticated(
        &mut self,
        id: NodeId,
        name: &str,
        place: SocketAddr,
        at: Timestamp,
    ) -> Authenticated {
        let key = PeerKey::Node(id);
        let was_known = self.peers.get(&key).is_some_and(|known| known.person.claimed == name);
        let is_twin = !was_known && !name.is_empty() && self.is_taken(key, name);
        let person = &mut self.make_persistent(key, at).person;
        name.clone_into(&mut person.claimed);
        person.addresses.retain(|address| *address != place);
        person.addresses.insert(0, place);
        person.addresses.truncate(MAX_ADDRESSES);
        person.last_seen = at;
        let is_suspect = is_twin && person.trust == Trust::New;
        if is_suspect {
            person.trust = Trust::Changed;
        }
        Authenticated { person: person.clone(), is_suspect }
    }

    /// Whether the user knows another node by this name.
    fn is_taken(&self, key: PeerKey, name: &str) -> bool {
        let others = self.peers.values().filter(|known| known.person.key != key);
        others.filter(|known| known.is_known_by_name()).any(|known| known.has_name(name))
    }

    /// Records that a node connected or disconnected. Returns whether its state changed: a connection may replace another.
    pub(crate) fn link(&mut self, id: NodeId, is_linked: bool, now: Instant, at: Timestamp) -> bool {
        let Some(known) = self.peers.get_mut(&PeerKey::Node(id)) else { return false };
        let is_news = known.is_linked != is_linked;
        known.is_linked = is_linked;
        known.left = (!is_linked).then_some(now);
        known.person.last_seen = at;
        is_news
    }

    /// Whether a node is a stranger to the user.
    pub(crate) fn is_stranger(&self, id: NodeId) -> bool {
        self.peers.get(&PeerKey::Node(id)).is_none_or(Known::is_stranger)
    }

    /// How far a node is trusted; a stranger's key is trusted on first use.
    pub(crate) fn trust(&self, id: NodeId) -> Trust {
        self.peers.get(&PeerKey::Node(id)).map_or(Trust::New, |known| known.person.trust)
    }

    /// Sets how far the user trusts a node; returns it to be stored.
    pub(crate) fn set_trust(&mut self, id: NodeId, trust: Trust) -> Option<Person> {
        let known = self.peers.get_mut(&PeerKey::Node(id))?;
        known.person.trust = trust;
        Some(known.person.clone())
    }

    /// The known nodes with their last addresses.
    pub(crate) fn addresses(&self) -> Vec<(NodeId, Vec<SocketAddr>)> {
        let nodes = self.peers.values().filter_map(|known| match known.person.key {
            PeerKey::Node(id) => Some((id, known.person.addresses.clone())),
            PeerKey::Legacy(_) => None,
        });
        nodes.collect()
    }

    /// Whether a different node is connected and can be dialled at this address.
    pub(crate) fn is_place_of_another(&self, id: NodeId, address: SocketAddr) -> bool {
        let others =
            self.peers.values().filter(|known| known.is_linked && known.person.key != PeerKey::Node(id));
        others.filter_map(|known| known.person.addresses.first()).any(|place| *place == address)
    }

    /// Drops peers that were silent for too long. Returns whether anyone went offline.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let mut went = false;
        self.peers.retain(|_, known| {
            if known.was_sighted() && !known.is_online(now) {
                (known.last_presence, known.last_message) = (None, None);
                went = true;
            }
            known.is_persistent || known.was_sighted() || known.is_linked
        });
        self.transient = self.peers.values().filter(|known| !known.is_persistent).count();
        went
    }

    /// Whether this peer is known, online or offline.
    pub(crate) fn knows(&self, key: PeerKey) -> bool {
        self.peers.contains_key(&key)
    }

    /// Whether this peer is online.
    pub(crate) fn is_online(&self, key: PeerKey, now: Instant) -> bool {
        self.peers.get(&key).is_some_and(|known| known.is_online(now))
    }

    /// The nodes that were at this address, as far as known; blocked ones do not count.
    pub(crate) fn nodes_at(&self, ip: IpAddr) -> Vec<NodeId> {
        let there = self.peers.values().filter(|known| known.person.trust != Trust::Blocked);
        let there = there.filter(|known| known.person.addresses.iter().any(|place| place.ip() == ip));
        let nodes = there.filter_map(|known| match known.person.key {
            PeerKey::Node(id) => Some(id),
            PeerKey::Legacy(_) => None,
        });
        nodes.collect()
    }

    /// Whether a peer that the user knows was at this address.
    pub(crate) fn is_familiar_place(&self, ip: IpAddr) -> bool {
        let familiar = self.peers.values().filter(|known| known.is_persistent && !known.is_stranger());
        let is_there = |known: &Known| match known.person.key {
            PeerKey::Legacy(place) => place == ip,
            PeerKey::Node(_) => known.person.addresses.iter().any(|place| place.ip() == ip),
        };
        familiar.filter(|known| known.person.trust != Trust::Blocked).any(is_there)
    }

    /// Whether presence arrives from this address; one lost announcement is tolerated.
    pub(crate) fn is_present(&self, ip: IpAddr, now: Instant) -> bool {
        let heard = self.peers.get(&PeerKey::Legacy(ip)).and_then(|known| known.last_presence);
        heard.is_some_and(|heard| now.duration_since(heard) < 2 * PRESENCE_EVERY)
    }

    /// The legacy peers' addresses with recent presence, and its time.
    pub(crate) fn present(&self, now: Instant) -> Vec<(IpAddr, Timestamp)> {
        let online = self.peers.values().filter(|known| known.is_online(now));
        let addresses = online.filter_map(|known| match known.person.key {
            PeerKey::Legacy(ip) => Some((ip, known.person.last_seen)),
            PeerKey::Node(_) => None,
        });
        addresses.collect()
    }

    /// All peers, online ones first, then by name.
    ///
    /// Peers whose names look the same, or look like our own name `me`, are displayed with part of the key, or with the address if there is
    /// none. A trusted name stays unchanged if all others who use it are blocked or not compared yet. Legacy presence from a node's address
    /// belongs to that node: it is listed once, and an unencrypted conversation that was begun with the address is offline.
    pub(crate) fn list(&self, now: Instant, me: &str) -> Vec<Peer> {
        let mut bearers = Bearers::of(me);
        self.peers.values().for_each(|known| bearers.add(known));
        let places: HashSet<IpAddr> = self.peers.values().filter_map(|known| known.place(now)).collect();
        let view = |known: &Known| {
            let is_node_too = matches!(known.person.key, PeerKey::Legacy(ip) if places.contains(&ip));
            if is_node_too && !known.is_persistent {
                return None;
            }
            let peer = known.view(now, bearers.have_others(known));
            Some(Peer { online: peer.online && !is_node_too, ..peer })
        };
        let mut peers: Vec<Peer> = self.peers.values().filter_map(view).collect();
        peers.sort_by(|a, b| (b.online, &a.name, a.key).cmp(&(a.online, &b.name, b.key)));
        peers
    }
}

/// How often each name is used, by skeleton: by all peers, and by trusted ones.
struct Bearers(HashMap<String, (usize, usize)>);

impl Bearers {
    /// Includes our own name.
    fn of(me: &str) -> Self {
        Self(HashMap::from([(name::skeleton(me), (1, 1))]))
    }

    fn add(&mut self, known: &Known) {
        let (all, believed) = self.0.entry(name::skeleton(&known.name())).or_default();
        *all += 1;
        *believed += usize::from(known.is_trusted());
    }

    /// Whether this peer's name needs a suffix.
    fn have_others(&self, known: &Known) -> bool {
        let (all, believed) = self.0.get(&name::skeleton(&known.name())).copied().unwrap_or_default();
        if known.is_trusted() { believed > 1 } else { all > 1 }
    }
}

#[cfg(test)]
mod tests;
