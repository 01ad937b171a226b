//! Who is there, and who was: pure state, told the time.
//!
//! Two kinds of entries. Those with something worth keeping (a conversation, a name given here) are on the disk, too. The others are
//! as good as their last datagram; there are at most [`MAX_HEARD`], and they are forgotten when they are silent. Overflow rule: while all
//! places are taken, who is new is not listed; who is listed or kept is never pushed out by it.
//!
//! Names are no proof, and names that look the same are the same (UTS 39). A name that people here know, because they have talked with whoever has it, verified them or named them, and
//! that comes with another key, is a reason to warn. Two strangers of one name are none: many machines have the host name that they
//! were sold with. They are shown apart.

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

/// Peers that were heard, and nothing more.
const MAX_HEARD: usize = 1024;
/// Addresses kept of one node.
const MAX_ADDRESSES: usize = 4;
/// So many new ones a second, for long; a network has not more, and a flood is not to keep us busy.
const NEW: u32 = 200;

/// Everybody known.
#[derive(Debug)]
pub(crate) struct Book {
    peers: HashMap<PeerKey, Known>,
    /// How many of them are not kept.
    heard: usize,
    fresh: Allowance,
}

/// A node of ours has proved who it is.
#[derive(Debug)]
pub(crate) struct Met {
    /// As it is known from now on.
    pub(crate) person: Person,
    /// It calls itself as somebody else did whom we knew before.
    pub(crate) is_suspect: bool,
}

/// What a sign of life has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// They were not there before.
    New,
    /// They were.
    Known,
    /// There is no room for one more.
    NoRoom,
}

impl Book {
    /// Of those who are kept.
    pub(crate) fn new(people: Vec<Person>, now: Instant) -> Self {
        let known = |person: Person| (person.key, Known { is_kept: true, ..Known::new(person) });
        Self {
            peers: people.into_iter().map(known).collect(),
            heard: 0,
            fresh: Allowance::new(NEW, NEW, now),
        }
    }

    /// Somebody gave a sign of life.
    pub(crate) fn sign(&mut self, key: PeerKey, by: Evidence, now: Instant, at: Timestamp) -> Sign {
        if let Some(known) = self.peers.get_mut(&key) {
            let was_online = known.is_online(now);
            known.felt(by, now);
            known.person.last_seen = at;
            return if was_online { Sign::Known } else { Sign::New };
        }
        if self.heard >= MAX_HEARD || self.fresh.take(now).is_err() {
            return Sign::NoRoom;
        }
        self.heard += 1;
        let mut known = Known::new(Person::new(key, at));
        known.felt(by, now);
        self.peers.insert(key, known);
        Sign::New
    }

    /// Something was said between this peer and us, by us where `is_ours`: from now on it is kept, whoever it is. Returns it for the disk when it was not.
    pub(crate) fn talked(&mut self, key: PeerKey, is_ours: bool, at: Timestamp) -> Option<Person> {
        let was_kept = self.peers.get(&key).is_some_and(|known| known.is_kept);
        let known = self.keep(key, at);
        known.person.has_talked = true;
        known.person.has_been_written_to |= is_ours;
        (!was_kept).then(|| known.person.clone())
    }

    fn keep(&mut self, key: PeerKey, at: Timestamp) -> &mut Known {
        let known = self.peers.entry(key).or_insert_with(|| {
            self.heard += 1;
            Known::new(Person::new(key, at))
        });
        if !known.is_kept {
            known.is_kept = true;
            self.heard -= 1;
        }
        known
    }

    /// Gives a peer another name here; returns it for the disk.
    pub(crate) fn rename(&mut self, key: PeerKey, name: String) -> Option<Person> {
        let known = self.peers.get_mut(&key)?;
        known.person.given = name;
        if !known.is_kept {
            known.is_kept = true;
            self.heard -= 1;
        }
        Some(known.person.clone())
    }

    /// These are not kept any more; those who are there stay as long as they are.
    pub(crate) fn forget(&mut self, gone: &[PeerKey]) {
        for key in gone {
            if let Some(known) = self.peers.get_mut(key).filter(|known| known.is_kept) {
                known.is_kept = false;
                (known.person.has_talked, known.person.has_been_written_to) = (false, false);
                self.heard += 1;
            }
        }
    }

    /// A node of ours has proved who it is, and says what it calls itself and where it can be dialled.
    pub(crate) fn met(&mut self, id: NodeId, name: &str, place: SocketAddr, at: Timestamp) -> Met {
        let key = PeerKey::Node(id);
        let was_known = self.peers.get(&key).is_some_and(|known| known.person.claimed == name);
        let is_twin = !was_known && !name.is_empty() && self.is_taken(key, name);
        let person = &mut self.keep(key, at).person;
        name.clone_into(&mut person.claimed);
        person.addresses.retain(|address| *address != place);
        person.addresses.insert(0, place);
        person.addresses.truncate(MAX_ADDRESSES);
        person.last_seen = at;
        let is_suspect = is_twin && person.trust == Trust::New;
        if is_suspect {
            person.trust = Trust::Changed;
        }
        Met { person: person.clone(), is_suspect }
    }

    /// Whether people here know another node by this name.
    fn is_taken(&self, key: PeerKey, name: &str) -> bool {
        let others = self.peers.values().filter(|known| known.person.key != key);
        others.filter(|known| known.is_acquainted()).any(|known| known.goes_by(name))
    }

    /// A node of ours came or went. Returns whether that is news: a connection may take the place of another.
    pub(crate) fn link(&mut self, id: NodeId, is_linked: bool, now: Instant, at: Timestamp) -> bool {
        let Some(known) = self.peers.get_mut(&PeerKey::Node(id)) else { return false };
        let is_news = known.is_linked != is_linked;
        known.is_linked = is_linked;
        known.left = (!is_linked).then_some(now);
        known.person.last_seen = at;
        is_news
    }

    /// Whether people here have nothing to do with a node.
    pub(crate) fn is_stranger(&self, id: NodeId) -> bool {
        self.peers.get(&PeerKey::Node(id)).is_none_or(Known::is_stranger)
    }

    /// How far a node is believed; a stranger's key is taken on first use.
    pub(crate) fn trust(&self, id: NodeId) -> Trust {
        self.peers.get(&PeerKey::Node(id)).map_or(Trust::New, |known| known.person.trust)
    }

    /// People have found out how far a node can be believed; returns it for the disk.
    pub(crate) fn judge(&mut self, id: NodeId, trust: Trust) -> Option<Person> {
        let known = self.peers.get_mut(&PeerKey::Node(id))?;
        known.person.trust = trust;
        Some(known.person.clone())
    }

    /// The nodes that are known, and where they were last.
    pub(crate) fn addresses(&self) -> Vec<(NodeId, Vec<SocketAddr>)> {
        let nodes = self.peers.values().filter_map(|known| match known.person.key {
            PeerKey::Node(id) => Some((id, known.person.addresses.clone())),
            PeerKey::Old(_) => None,
        });
        nodes.collect()
    }

    /// Whether another node than this is connected and can be dialled at this address.
    pub(crate) fn is_place_of_another(&self, id: NodeId, address: SocketAddr) -> bool {
        let others =
            self.peers.values().filter(|known| known.is_linked && known.person.key != PeerKey::Node(id));
        others.filter_map(|known| known.person.addresses.first()).any(|place| *place == address)
    }

    /// Forgets whoever was silent for too long. Returns whether anybody went.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let mut went = false;
        self.peers.retain(|_, known| {
            if known.was_felt() && !known.is_online(now) {
                (known.heard, known.spoke) = (None, None);
                went = true;
            }
            known.is_kept || known.was_felt() || known.is_linked
        });
        self.heard = self.peers.values().filter(|known| !known.is_kept).count();
        went
    }

    /// Whether this peer is known, there or not.
    pub(crate) fn knows(&self, key: PeerKey) -> bool {
        self.peers.contains_key(&key)
    }

    /// Whether this peer is there now.
    pub(crate) fn is_online(&self, key: PeerKey, now: Instant) -> bool {
        self.peers.get(&key).is_some_and(|known| known.is_online(now))
    }

    /// The nodes of ours that were at this address, by what is known of them; those that are turned away do not count.
    pub(crate) fn nodes_at(&self, ip: IpAddr) -> Vec<NodeId> {
        let there = self.peers.values().filter(|known| known.person.trust != Trust::Blocked);
        let there = there.filter(|known| known.person.addresses.iter().any(|place| place.ip() == ip));
        let nodes = there.filter_map(|known| match known.person.key {
            PeerKey::Node(id) => Some(id),
            PeerKey::Old(_) => None,
        });
        nodes.collect()
    }

    /// Whether somebody was at this address with whom people here have to do.
    pub(crate) fn is_familiar_place(&self, ip: IpAddr) -> bool {
        let familiar = self.peers.values().filter(|known| known.is_kept && !known.is_stranger());
        let is_there = |known: &Known| match known.person.key {
            PeerKey::Old(place) => place == ip,
            PeerKey::Node(_) => known.person.addresses.iter().any(|place| place.ip() == ip),
        };
        familiar.filter(|known| known.person.trust != Trust::Blocked).any(is_there)
    }

    /// Whether somebody announces themselves from this address, up to the last time but one.
    pub(crate) fn is_present(&self, ip: IpAddr, now: Instant) -> bool {
        let heard = self.peers.get(&PeerKey::Old(ip)).and_then(|known| known.heard);
        heard.is_some_and(|heard| now.duration_since(heard) < 2 * PRESENCE_EVERY)
    }

    /// The addresses of the old kind from which somebody was heard lately, and when.
    pub(crate) fn present(&self, now: Instant) -> Vec<(IpAddr, Timestamp)> {
        let online = self.peers.values().filter(|known| known.is_online(now));
        let addresses = online.filter_map(|known| match known.person.key {
            PeerKey::Old(ip) => Some((ip, known.person.last_seen)),
            PeerKey::Node(_) => None,
        });
        addresses.collect()
    }

    /// Everybody, those who are there first, then by name.
    ///
    /// Whose name looks like somebody else's, or like `me`, which is our own, is told apart by the key, or by the address where there is
    /// none. A name that people may believe stays as it is where only those have it, too, whom people have blocked or still have to look
    /// at. Whoever announces itself as the old kind does from where a node of ours is, is that node: it is listed once, and a conversation
    /// that was begun there unencrypted is offline.
    pub(crate) fn list(&self, now: Instant, me: &str) -> Vec<Peer> {
        let mut bearers = Bearers::of(me);
        self.peers.values().for_each(|known| bearers.add(known));
        let places: HashSet<IpAddr> = self.peers.values().filter_map(|known| known.place(now)).collect();
        let view = |known: &Known| {
            let is_node_too = matches!(known.person.key, PeerKey::Old(ip) if places.contains(&ip));
            if is_node_too && !known.is_kept {
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

/// How many have each name: by what it looks like, all of them and those whom people may believe.
struct Bearers(HashMap<String, (usize, usize)>);

impl Bearers {
    /// We are one of them.
    fn of(me: &str) -> Self {
        Self(HashMap::from([(name::shape(me), (1, 1))]))
    }

    fn add(&mut self, known: &Known) {
        let (all, believed) = self.0.entry(name::shape(&known.name())).or_default();
        *all += 1;
        *believed += usize::from(known.is_believed());
    }

    /// Whether this one is to be told apart from others.
    fn have_others(&self, known: &Known) -> bool {
        let (all, believed) = self.0.get(&name::shape(&known.name())).copied().unwrap_or_default();
        if known.is_believed() { believed > 1 } else { all > 1 }
    }
}

#[cfg(test)]
mod tests;
