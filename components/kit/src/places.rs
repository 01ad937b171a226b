//! How many connections there may be: in all, and from one address, so that one machine cannot take every place.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

/// Counts the places taken. Cheap to clone. Overflow rule: whoever comes when all are taken gets none.
#[derive(Debug, Clone)]
pub struct Places {
    total: usize,
    per_address: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    /// At most as many entries as there are places, for each has one.
    by_address: HashMap<IpAddr, usize>,
}

/// A place, free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    address: IpAddr,
}

impl Places {
    /// So many in all, and so many for one address. Loopback is not bounded apart, for a proxy on this machine stands for
    /// everybody.
    #[must_use]
    pub fn new(total: usize, per_address: usize) -> Self {
        Self { total, per_address, taken: Arc::default() }
    }

    /// Takes a place, if there is one.
    #[must_use]
    pub fn take(&self, address: IpAddr) -> Option<Place> {
        let mut taken = self.lock();
        let here = taken.by_address.get(&address).copied().unwrap_or(0);
        if taken.total >= self.total || (here >= self.per_address && !address.is_loopback()) {
            return None;
        }
        taken.total += 1;
        taken.by_address.insert(address, here + 1);
        Some(Place { places: self.clone(), address })
    }

    /// Whether this address has any.
    #[must_use]
    pub fn are_taken_from(&self, address: IpAddr) -> bool {
        self.lock().by_address.contains_key(&address)
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().expect("nobody panics while holding this lock")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.total -= 1;
        let here = taken.by_address.get(&self.address).copied().unwrap_or(0);
        if here > 1 {
            taken.by_address.insert(self.address, here - 1);
        } else {
            taken.by_address.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_every_place_and_places_come_back() {
        let places = Places::new(100, 5);
        let one: IpAddr = "10.0.0.1".parse().unwrap();
        let held: Vec<Place> = (0..5).map(|_| places.take(one).unwrap()).collect();
        assert!(places.take(one).is_none());
        let other: IpAddr = "10.0.0.2".parse().unwrap();
        assert!(places.are_taken_from(one) && !places.are_taken_from(other));
        assert!(places.take(other).is_some());
        drop(held);
        assert_eq!(places.taken(), 0);
        assert!(places.lock().by_address.is_empty());
        assert!(places.take(one).is_some());
    }

    #[test]
    fn there_is_a_bound_for_loopback_too() {
        let places = Places::new(100, 5);
        let held: Vec<Place> = (0..100).map_while(|_| places.take([127, 0, 0, 1].into())).collect();
        assert_eq!(held.len(), 100);
        assert!(places.take([127, 0, 0, 1].into()).is_none());
    }
}
