//! Incoming connections that have not authenticated: from accept until `hello`.
//!
//! Bounds: [`STRANGERS`] of them, [`PER_ADDRESS`] from one address; [`FAMILIAR`] more from familiar addresses; and [`KNOWN`] more for known
//! nodes at any address, once the handshake has proved their key. Overflow rule: the oldest stranger of the address with the most strangers
//! is closed if it is older than [`YOUNG`]; otherwise the new connection is refused. Handshakes take milliseconds, so silent connections
//! keep nobody out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const STRANGERS: usize = 64;
const PER_ADDRESS: usize = 4;
const FAMILIAR: usize = 32;
const KNOWN: usize = 64;
/// Connections younger than this are never displaced: enough for a handshake under load.
const YOUNG: Duration = Duration::from_millis(100);

/// Time limit of a handshake.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// The same for strangers, so that silent ones release their places soon.
const STRANGERS_HANDSHAKE: Duration = Duration::from_secs(2);

/// The table of handshakes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handshakes(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    /// Oldest first.
    begun: Vec<Begun>,
    count: u64,
}

#[derive(Debug)]
struct Begun {
    number: u64,
    ip: IpAddr,
    at: Instant,
    familiarity: Familiarity,
    cut: CancellationToken,
}

/// What is known about the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Familiarity {
    /// Nothing, or a stranger's key.
    Stranger,
    /// Its address is familiar: a known node was there.
    Familiar,
    /// It has a known node's key.
    Known,
}

/// A handshake's place, released on drop.
#[derive(Debug)]
pub(crate) struct Handshake {
    handshakes: Handshakes,
    number: u64,
    cut: CancellationToken,
}

impl Handshakes {
    /// Takes a place for a connection from this address.
    pub(super) fn begin(&self, ip: IpAddr, is_familiar: bool) -> Option<Handshake> {
        let (mut table, now) = (self.lock(), Instant::now());
        let here =
            table.begun.iter().filter(|one| one.ip == ip && one.familiarity != Familiarity::Known).count();
        if here >= PER_ADDRESS {
            return None;
        }
        let is_reserved = is_familiar && table.count_of(Familiarity::Familiar) < FAMILIAR;
        let familiarity = if is_reserved { Familiarity::Familiar } else { Familiarity::Stranger };
        if !table.make_room(familiarity, now) {
            return None;
        }
        table.count += 1;
        let (number, cut) = (table.count, CancellationToken::new());
        table.begun.push(Begun { number, ip, at: now, familiarity, cut: cut.clone() });
        Some(Handshake { handshakes: self.clone(), number, cut })
    }

    /// Whether a handshake from this address is in progress.
    pub(super) fn are_begun_from(&self, ip: IpAddr) -> bool {
        self.lock().begun.iter().any(|one| one.ip == ip)
    }

    /// The number of handshakes in progress.
    pub(crate) fn count(&self) -> usize {
        self.lock().begun.len()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().expect("nobody panics while holding this lock")
    }
}

impl Handshake {
    /// Time limit for the handshake, and again for `hello`.
    pub(super) fn patience(&self) -> Duration {
        match self.familiarity() {
            Familiarity::Familiar | Familiarity::Known => HANDSHAKE,
            Familiarity::Stranger => STRANGERS_HANDSHAKE,
        }
    }

    /// What is known about the peer.
    pub(super) fn familiarity(&self) -> Familiarity {
        let table = self.handshakes.lock();
        table
            .begun
            .iter()
            .find(|one| one.number == self.number)
            .map_or(Familiarity::Stranger, |one| one.familiarity)
    }

    /// Records the proved key as known or unknown. The connection is closed if there is no place for it.
    pub(super) fn proved(&self, is_known: bool) {
        let mut table = self.handshakes.lock();
        let Some(index) = table.begun.iter().position(|one| one.number == self.number) else { return };
        let one = table.begun.remove(index);
        let is_reserved = is_known && table.count_of(Familiarity::Known) < KNOWN;
        let familiarity = if is_reserved { Familiarity::Known } else { Familiarity::Stranger };
        if one.familiarity == familiarity || table.make_room(familiarity, Instant::now()) {
            table.begun.insert(index, Begun { familiarity, ..one });
        } else {
            one.cut.cancel();
        }
    }

    /// Runs `work` unless the connection is displaced first.
    pub(super) async fn until_cut<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.cut.run_until_cancelled(work).await
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.handshakes.lock().begun.retain(|one| one.number != self.number);
    }
}

impl Table {
    fn count_of(&self, familiarity: Familiarity) -> usize {
        self.begun.iter().filter(|one| one.familiarity == familiarity).count()
    }

    /// Whether there is room for another; may displace a stranger.
    fn make_room(&mut self, familiarity: Familiarity, now: Instant) -> bool {
        if familiarity != Familiarity::Stranger || self.count_of(Familiarity::Stranger) < STRANGERS {
            return true;
        }
        let strangers =
            || self.begun.iter().enumerate().filter(|(_, one)| one.familiarity == Familiarity::Stranger);
        let mut at: HashMap<IpAddr, usize> = HashMap::new();
        strangers().for_each(|(_, one)| *at.entry(one.ip).or_default() += 1);
        let old = strangers().filter(|(_, one)| now.duration_since(one.at) >= YOUNG);
        // `max_by_key` returns the last maximum, so search backwards.
        let victim = old.rev().max_by_key(|(_, one)| at[&one.ip]).map(|(index, _)| index);
        victim.map(|index| self.begun.remove(index).cut.cancel()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: usize) -> IpAddr {
        IpAddr::from([10, 0, 0, u8::try_from(n).unwrap()])
    }

    /// The maximum of strangers, at as few addresses as possible.
    fn crowd(handshakes: &Handshakes) -> Vec<Handshake> {
        let addresses = (0..STRANGERS).map(|n| ip(1 + n / PER_ADDRESS));
        addresses.map(|ip| handshakes.begin(ip, false).unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn silent_connections_keep_nobody_out() {
        let handshakes = Handshakes::default();
        let crowd = crowd(&handshakes);
        assert!(handshakes.begin(ip(100), false).is_none(), "all of them may be about to be done");
        tokio::time::advance(YOUNG).await;
        let one = handshakes.begin(ip(100), false).unwrap();
        assert!(crowd[0].cut.is_cancelled() && !crowd[1].cut.is_cancelled());
        // That address has fewer by now, so another's is next; a single connection of an address is last.
        let others: Vec<Handshake> = (101..131).map(|n| handshakes.begin(ip(n), false).unwrap()).collect();
        assert!(!one.cut.is_cancelled() && others.iter().all(|other| !other.cut.is_cancelled()));
        assert!(handshakes.begin(ip(1), false).is_some());
        assert_eq!(handshakes.count(), STRANGERS - 1, "the last one is gone again");
    }

    #[tokio::test(start_paused = true)]
    async fn familiar_addresses_and_known_keys_have_their_own_places() {
        let handshakes = Handshakes::default();
        let familiar: Vec<Handshake> =
            (0..FAMILIAR).map(|n| handshakes.begin(ip(100 + n / PER_ADDRESS), true).unwrap()).collect();
        assert!(handshakes.begin(ip(100), true).is_none(), "one address has no more than its share");
        let one = handshakes.begin(ip(200), false).unwrap();
        one.proved(true);
        assert_eq!(one.familiarity(), Familiarity::Known);
        let _crowd = crowd(&handshakes);
        tokio::time::advance(YOUNG).await;
        let _more: Vec<Handshake> = (201..231).map(|n| handshakes.begin(ip(n), false).unwrap()).collect();
        assert!(!one.cut.is_cancelled() && familiar.iter().all(|one| !one.cut.is_cancelled()));
        // Addresses prove nothing: a peer with an unknown key is a stranger and takes a stranger's place.
        familiar[0].proved(false);
        assert_eq!(familiar[0].familiarity(), Familiarity::Stranger);
        assert_eq!(handshakes.lock().count_of(Familiarity::Stranger), STRANGERS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_connects_too_often_is_treated_as_a_stranger() {
        let handshakes = Handshakes::default();
        let come = |n: usize| {
            let one = handshakes.begin(ip(1 + n / PER_ADDRESS), false).unwrap();
            one.proved(true);
            one
        };
        let known: Vec<Handshake> = (0..KNOWN).map(come).collect();
        assert!(known.iter().all(|one| one.familiarity() == Familiarity::Known));
        assert_eq!(come(KNOWN).familiarity(), Familiarity::Stranger);
        assert!(handshakes.are_begun_from(ip(1)) && !handshakes.are_begun_from(ip(200)));
        drop(known);
        assert_eq!(handshakes.count(), 0);
    }
}
