//! Who is there, and who was: pure state, told the time.
//!
//! Two kinds of entries. Those with something worth keeping (a conversation, a name given here) are on the disk, too. The others are
//! as good as their last datagram; there are at most [`MAX_HEARD`], and they are forgotten after [`SILENCE`]. Overflow rule: while all
//! places are taken, who is new is not listed; who is listed or kept is never pushed out by it.

use std::collections::HashMap;

use kit::allowance::Allowance;
use protocol::Timestamp;
use protocol::lan::PeerKey;
use protocol::lan::datagram::SILENCE;
use protocol::lan::view::Peer;
use tokio::time::Instant;

use crate::store::Person;

/// Peers that were heard, and nothing more.
const MAX_HEARD: usize = 1024;
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
        let known = |person: Person| (person.key, Known { person, is_kept: true, heard: None });
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
        self.peers.insert(key, Known { person, is_kept: false, heard: Some(now) });
        Sign::New
    }

    /// From now on this peer is kept, whoever it is; returns it for the disk when it was not.
    pub(crate) fn keep(&mut self, key: PeerKey, at: Timestamp) -> Option<Person> {
        let known = self.peers.entry(key).or_insert_with(|| {
            self.heard += 1;
            Known { person: Person::new(key, at), is_kept: false, heard: None }
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

    /// Forgets whoever was silent for too long. Returns whether anybody went.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let mut went = false;
        self.peers.retain(|_, known| {
            if known.heard.is_some() && !known.is_online(now) {
                known.heard = None;
                went = true;
            }
            known.is_kept || known.heard.is_some()
        });
        self.heard = self.peers.values().filter(|known| !known.is_kept).count();
        went
    }

    /// Whether this peer is known, there or not.
    pub(crate) fn knows(&self, key: PeerKey) -> bool {
        self.peers.contains_key(&key)
    }

    /// How many are there.
    pub(crate) fn online(&self, now: Instant) -> usize {
        self.peers.values().filter(|known| known.is_online(now)).count()
    }

    /// Everybody who is there, and when they were heard.
    pub(crate) fn present(&self, now: Instant) -> impl Iterator<Item = (PeerKey, Timestamp)> {
        let online = self.peers.values().filter(move |known| known.is_online(now));
        online.map(|known| (known.person.key, known.person.last_seen))
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
        self.heard.is_some_and(|heard| now.duration_since(heard) < SILENCE)
    }

    fn view(&self, now: Instant) -> Peer {
        let Person { key, given, trust, last_seen } = &self.person;
        let PeerKey::Old(ip) = key;
        Peer {
            key: *key,
            name: if given.is_empty() { ip.to_string() } else { given.clone() },
            online: self.is_online(now),
            trust: *trust,
            addresses: vec![ip.to_string()],
            last_seen: Some(*last_seen),
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
        assert!(!book.expire(later) && book.online(later) == 2);
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
