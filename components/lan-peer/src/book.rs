//! Who is there, and who was: pure state, told the time.
//!
//! Two kinds of entries. Those with something worth keeping (a conversation, a name given here) are on the disk, too. The others are
//! as good as their last datagram; there are at most [`MAX_HEARD`], and they are forgotten after [`SILENCE`]. Overflow rule: while all
//! places are taken, who is new is not listed; who is listed or kept is never pushed out by it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use kit::allowance::Allowance;
use protocol::Timestamp;
use protocol::lan::datagram::SILENCE;
use protocol::lan::view::{Peer, Trust};
use protocol::lan::{NodeId, PeerKey};
use tokio::time::Instant;

use crate::secure::identity::fingerprint;
use crate::store::Person;

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

#[derive(Debug)]
struct Known {
    person: Person,
    is_kept: bool,
    heard: Option<Instant>,
    /// A node of ours is there as long as it is connected.
    is_linked: bool,
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
        let known =
            |person: Person| (person.key, Known { person, is_kept: true, heard: None, is_linked: false });
        Self {
            peers: people.into_iter().map(known).collect(),
            heard: 0,
            fresh: Allowance::new(NEW, NEW, now),
        }
    }

    /// Somebody gave a sign of life.
    pub(crate) fn sign(&mut self, key: PeerKey, now: Instant, at: Timestamp) -> Sign {
        if let Some(known) = self.peers.get_mut(&key) {
            let was_online = known.is_online(now);
            known.heard = Some(now);
            known.person.last_seen = at;
            return if was_online { Sign::Known } else { Sign::New };
        }
        if self.heard >= MAX_HEARD || self.fresh.take(now).is_err() {
            return Sign::NoRoom;
        }
        self.heard += 1;
        let person = Person::new(key, at);
        self.peers.insert(key, Known { person, is_kept: false, heard: Some(now), is_linked: false });
        Sign::New
    }

    /// From now on this peer is kept, whoever it is; returns it for the disk when it was not.
    pub(crate) fn keep(&mut self, key: PeerKey, at: Timestamp) -> Option<Person> {
        let known = self.peers.entry(key).or_insert_with(|| {
            self.heard += 1;
            Known { person: Person::new(key, at), is_kept: false, heard: None, is_linked: false }
        });
        if known.is_kept {
            return None;
        }
        known.is_kept = true;
        self.heard -= 1;
        Some(known.person.clone())
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
    pub(crate) fn let_go(&mut self, gone: &[PeerKey]) {
        for key in gone {
            if let Some(known) = self.peers.get_mut(key).filter(|known| known.is_kept) {
                known.is_kept = false;
                self.heard += 1;
            }
        }
    }

    /// A node of ours has proved who it is, and says what it calls itself and where it can be dialled.
    pub(crate) fn met(&mut self, id: NodeId, name: &str, place: SocketAddr, at: Timestamp) -> Met {
        let key = PeerKey::Node(id);
        let was_known = self.peers.get(&key).is_some_and(|known| known.person.claimed == name);
        let is_twin = !was_known && !name.is_empty() && self.is_taken(key, name);
        self.keep(key, at);
        let known = self.peers.get_mut(&key).expect("it is kept now");
        let person = &mut known.person;
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

    /// Whether another node that people here may know goes by this name.
    fn is_taken(&self, key: PeerKey, name: &str) -> bool {
        self.peers.values().any(|known| {
            let Person { key: other, given, claimed, trust, .. } = &known.person;
            let is_node = matches!(other, PeerKey::Node(_)) && *other != key;
            let is_same = |text: &String| text.to_lowercase() == name.to_lowercase();
            is_node && matches!(trust, Trust::New | Trust::Verified) && (is_same(given) || is_same(claimed))
        })
    }

    /// A node of ours came or went.
    pub(crate) fn link(&mut self, id: NodeId, is_linked: bool, at: Timestamp) {
        if let Some(known) = self.peers.get_mut(&PeerKey::Node(id)) {
            known.is_linked = is_linked;
            known.person.last_seen = at;
        }
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

    /// Forgets whoever was silent for too long. Returns whether anybody went.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let mut went = false;
        self.peers.retain(|_, known| {
            if known.heard.is_some() && !known.is_online(now) {
                known.heard = None;
                went = true;
            }
            known.is_kept || known.heard.is_some() || known.is_linked
        });
        self.heard = self.peers.values().filter(|known| !known.is_kept).count();
        went
    }

    /// Whether this peer is known, there or not.
    pub(crate) fn knows(&self, key: PeerKey) -> bool {
        self.peers.contains_key(&key)
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
    pub(crate) fn list(&self, now: Instant) -> Vec<Peer> {
        let mut peers: Vec<Peer> = self.peers.values().map(|known| known.view(now)).collect();
        peers.sort_by(|a, b| (b.online, &a.name, a.key).cmp(&(a.online, &b.name, b.key)));
        peers
    }
}

impl Known {
    fn is_online(&self, now: Instant) -> bool {
        self.is_linked || self.heard.is_some_and(|heard| now.duration_since(heard) < SILENCE)
    }

    fn view(&self, now: Instant) -> Peer {
        let Person { key, given, claimed, addresses, trust, last_seen } = &self.person;
        let called = [given, claimed].into_iter().find(|name| !name.is_empty()).cloned();
        let (name, fingerprint, addresses) = match key {
            PeerKey::Old(ip) => (called.unwrap_or_else(|| ip.to_string()), None, vec![ip.to_string()]),
            PeerKey::Node(id) => {
                let mut name = called.unwrap_or_else(|| id.short());
                if *trust == Trust::Changed {
                    name = format!("{name} ({})", id.short());
                }
                (name, Some(fingerprint(id)), addresses.iter().map(ToString::to_string).collect())
            }
        };
        Peer {
            key: *key,
            name,
            claimed: (!claimed.is_empty()).then(|| claimed.clone()),
            online: self.is_online(now),
            trust: *trust,
            fingerprint,
            addresses,
            last_seen: Some(*last_seen),
            waiting: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn key(n: u32) -> PeerKey {
        PeerKey::Old(std::net::Ipv4Addr::from(0x0a00_0000 + n).into())
    }

    fn at() -> Timestamp {
        Timestamp::from_micros(1)
    }

    #[test]
    fn whoever_is_silent_is_gone_and_whoever_is_kept_is_away() {
        let start = Instant::now();
        let mut book = Book::new(Vec::new(), start);
        assert_eq!(book.sign(key(1), start, at()), Sign::New);
        assert_eq!(book.sign(key(2), start, at()), Sign::New);
        assert!(book.keep(key(2), at()).is_some() && book.keep(key(2), at()).is_none());
        let later = start + SILENCE - Duration::from_millis(1);
        assert!(!book.expire(later) && book.present(later).len() == 2);
        assert_eq!(book.sign(key(1), later, at()), Sign::Known);
        let end = start + SILENCE;
        assert!(book.expire(end) && !book.expire(end));
        assert!(book.expire(later + SILENCE));
        let left = book.list(end);
        assert_eq!(left.iter().map(|peer| (peer.key, peer.online)).collect::<Vec<_>>(), [(key(2), false)]);
        assert_eq!(book.sign(key(2), end, at()), Sign::New);
    }

    #[test]
    fn forged_presence_pushes_nobody_out_and_takes_bounded_room() {
        let start = Instant::now();
        let mut book = Book::new(Vec::new(), start);
        book.sign(key(1), start, at());
        let mut now = start;
        for n in 0..100_000 {
            now = start + Duration::from_micros(100 * u64::from(n));
            book.sign(key(1 + n), now, at());
            if n % 1000 == 0 {
                book.sign(key(1), now, at());
                book.expire(now);
            }
        }
        assert!(book.list(now).len() <= MAX_HEARD);
        assert!(book.knows(key(1)));
        now += SILENCE;
        book.expire(now);
        assert_eq!((book.list(now).len(), book.heard), (0, 0));
        assert_eq!(book.sign(key(7), now, at()), Sign::New);
    }

    #[test]
    fn a_known_name_with_another_key_is_suspect_until_people_have_looked() {
        let now = Instant::now();
        let mut book = Book::new(Vec::new(), now);
        let (one, other) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let place = ([10, 0, 0, 1], 47600).into();
        assert!(!book.met(one, "alice", place, at()).is_suspect);
        assert!(!book.met(one, "alice", place, at()).is_suspect);
        assert!(book.met(other, "Alice", place, at()).is_suspect);
        assert_eq!((book.trust(one), book.trust(other)), (Trust::New, Trust::Changed));
        // It is no better for coming again, nor for another name.
        assert!(!book.met(other, "Alice", place, at()).is_suspect && book.trust(other) == Trust::Changed);
        book.judge(other, Trust::New);
        assert!(!book.met(other, "Alice", place, at()).is_suspect && book.trust(other) == Trust::New);
        book.met(other, "bob", place, at());
        assert!(book.met(other, "alice", place, at()).is_suspect);
    }

    #[test]
    fn a_name_given_here_stays() {
        let now = Instant::now();
        let mut book = Book::new(Vec::new(), now);
        assert!(book.rename(key(1), "printer".into()).is_none());
        book.sign(key(1), now, at());
        let person = book.rename(key(1), "printer".into()).unwrap();
        let book = Book::new(vec![person], now);
        assert_eq!(book.list(now)[0].name, "printer");
        assert!(!book.list(now)[0].online);
    }
}
