//! Connections that others have made with us and that have not said who they are: from when one is accepted until its `hello`.
//!
//! Bounds: [`STRANGERS`] of them, [`PER_ADDRESS`] from one address; [`FAMILIAR`] more from addresses at which people here know somebody;
//! and, once the handshake has proved the key, [`KNOWN`] more of those whom people here know, wherever they are by now.
//! Overflow rule: of the strangers at the address that has most of them, the oldest is cut off if it is older than [`YOUNG`]; if it is
//! not, one more is refused. A handshake takes milliseconds, so those who hold a place in silence keep nobody out.

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
/// So long nobody is cut off for another's sake: time enough for a handshake among many.
const YOUNG: Duration = Duration::from_millis(100);

/// How long a handshake may take.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// The same for one that a stranger has begun: it takes milliseconds, and a place that is held in silence is another's.
const STRANGERS_HANDSHAKE: Duration = Duration::from_secs(2);

/// All of them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handshakes(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    /// The oldest first.
    begun: Vec<Begun>,
    count: u64,
}

#[derive(Debug)]
struct Begun {
    number: u64,
    ip: IpAddr,
    at: Instant,
    standing: Standing,
    cut: CancellationToken,
}

/// What is known of who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing, or a key that people here have nothing to do with.
    Stranger,
    /// Nothing but that people here know somebody who was at its address.
    Familiar,
    /// It has the key of somebody whom people here know.
    Known,
}

/// One of them; its place is free when this is dropped.
#[derive(Debug)]
pub(crate) struct Handshake {
    handshakes: Handshakes,
    number: u64,
    cut: CancellationToken,
}

impl Handshakes {
    /// A place for a connection from this address, if there is one.
    pub(super) fn begin(&self, ip: IpAddr, is_familiar: bool) -> Option<Handshake> {
        let (mut table, now) = (self.lock(), Instant::now());
        let here = table.begun.iter().filter(|one| one.ip == ip && one.standing != Standing::Known).count();
        if here >= PER_ADDRESS {
            return None;
        }
        let is_reserved = is_familiar && table.count_of(Standing::Familiar) < FAMILIAR;
        let standing = if is_reserved { Standing::Familiar } else { Standing::Stranger };
        if !table.make_room(standing, now) {
            return None;
        }
        table.count += 1;
        let (number, cut) = (table.count, CancellationToken::new());
        table.begun.push(Begun { number, ip, at: now, standing, cut: cut.clone() });
        Some(Handshake { handshakes: self.clone(), number, cut })
    }

    /// Whether somebody at this address is about to say who they are.
    pub(super) fn are_begun_from(&self, ip: IpAddr) -> bool {
        self.lock().begun.iter().any(|one| one.ip == ip)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().begun.len()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().expect("nobody panics while holding this lock")
    }
}

impl Handshake {
    /// How long somebody may take for the handshake, and again to say who they are.
    pub(super) fn patience(&self) -> Duration {
        match self.standing() {
            Standing::Familiar | Standing::Known => HANDSHAKE,
            Standing::Stranger => STRANGERS_HANDSHAKE,
        }
    }

    /// What is known of who it is.
    pub(super) fn standing(&self) -> Standing {
        let table = self.handshakes.lock();
        table
            .begun
            .iter()
            .find(|one| one.number == self.number)
            .map_or(Standing::Stranger, |one| one.standing)
    }

    /// The handshake has proved its key, which people here know or do not know. Cut off when there is no place for it as what it is.
    pub(super) fn proved(&self, is_known: bool) {
        let mut table = self.handshakes.lock();
        let Some(index) = table.begun.iter().position(|one| one.number == self.number) else { return };
        let one = table.begun.remove(index);
        let is_reserved = is_known && table.count_of(Standing::Known) < KNOWN;
        let standing = if is_reserved { Standing::Known } else { Standing::Stranger };
        if one.standing == standing || table.make_room(standing, Instant::now()) {
            table.begun.insert(index, Begun { standing, ..one });
        } else {
            one.cut.cancel();
        }
    }

    /// Does something until it is done; nothing when it is cut off before.
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
    fn count_of(&self, standing: Standing) -> usize {
        self.begun.iter().filter(|one| one.standing == standing).count()
    }

    /// Whether there is room for one more; for a stranger another one may have to go.
    fn make_room(&mut self, standing: Standing, now: Instant) -> bool {
        if standing != Standing::Stranger || self.count_of(Standing::Stranger) < STRANGERS {
            return true;
        }
        let strangers =
            || self.begun.iter().enumerate().filter(|(_, one)| one.standing == Standing::Stranger);
        let mut at: HashMap<IpAddr, usize> = HashMap::new();
        strangers().for_each(|(_, one)| *at.entry(one.ip).or_default() += 1);
        let old = strangers().filter(|(_, one)| now.duration_since(one.at) >= YOUNG);
        // Of several the last one is found, so from the end.
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

    /// As many strangers as there may be, at as few addresses.
    fn crowd(handshakes: &Handshakes) -> Vec<Handshake> {
        let addresses = (0..STRANGERS).map(|n| ip(1 + n / PER_ADDRESS));
        addresses.map(|ip| handshakes.begin(ip, false).unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn who_holds_a_place_in_silence_keeps_nobody_out() {
        let handshakes = Handshakes::default();
        let crowd = crowd(&handshakes);
        assert!(handshakes.begin(ip(100), false).is_none(), "all of them may be about to be done");
        tokio::time::advance(YOUNG).await;
        let one = handshakes.begin(ip(100), false).unwrap();
        assert!(crowd[0].cut.is_cancelled() && !crowd[1].cut.is_cancelled());
        // There are fewer at that address by now, so another one's is next; who is alone at an address is last.
        let others: Vec<Handshake> = (101..131).map(|n| handshakes.begin(ip(n), false).unwrap()).collect();
        assert!(!one.cut.is_cancelled() && others.iter().all(|other| !other.cut.is_cancelled()));
        assert!(handshakes.begin(ip(1), false).is_some());
        assert_eq!(handshakes.count(), STRANGERS - 1, "the last one is gone again");
    }

    #[tokio::test(start_paused = true)]
    async fn whom_people_know_by_address_or_key_has_places_of_its_own() {
        let handshakes = Handshakes::default();
        let familiar: Vec<Handshake> =
            (0..FAMILIAR).map(|n| handshakes.begin(ip(100 + n / PER_ADDRESS), true).unwrap()).collect();
        assert!(handshakes.begin(ip(100), true).is_none(), "one address has no more than its share");
        let one = handshakes.begin(ip(200), false).unwrap();
        one.proved(true);
        assert_eq!(one.standing(), Standing::Known);
        let _crowd = crowd(&handshakes);
        tokio::time::advance(YOUNG).await;
        let _more: Vec<Handshake> = (201..231).map(|n| handshakes.begin(ip(n), false).unwrap()).collect();
        assert!(!one.cut.is_cancelled() && familiar.iter().all(|one| !one.cut.is_cancelled()));
        // An address can be anybody's: who has shown another key is a stranger like the others, and takes a stranger's place.
        familiar[0].proved(false);
        assert_eq!(familiar[0].standing(), Standing::Stranger);
        assert_eq!(handshakes.lock().count_of(Standing::Stranger), STRANGERS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_comes_too_often_is_as_a_stranger() {
        let handshakes = Handshakes::default();
        let come = |n: usize| {
            let one = handshakes.begin(ip(1 + n / PER_ADDRESS), false).unwrap();
            one.proved(true);
            one
        };
        let known: Vec<Handshake> = (0..KNOWN).map(come).collect();
        assert!(known.iter().all(|one| one.standing() == Standing::Known));
        assert_eq!(come(KNOWN).standing(), Standing::Stranger);
        assert!(handshakes.are_begun_from(ip(1)) && !handshakes.are_begun_from(ip(200)));
        drop(known);
        assert_eq!(handshakes.count(), 0);
    }
}
