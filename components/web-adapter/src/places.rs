//! How many WebSockets there may be: in all, and from one address, so that one machine cannot take every place.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

/// WebSockets at once. Overflow rule: further ones are refused with 503.
const TOTAL: usize = 4096;
/// WebSockets from one address at once; everybody behind one router or proxy shares them. Loopback is not bounded apart, for a
/// proxy on this machine stands for everybody.
const PER_ADDRESS: usize = 256;

/// Counts the places taken. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    /// At most [`TOTAL`] entries, for each has a place.
    by_address: HashMap<IpAddr, usize>,
}

/// A place, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    address: IpAddr,
}

impl Places {
    /// Takes a place, if there is one.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Place> {
        let mut taken = self.lock();
        let here = taken.by_address.get(&address).copied().unwrap_or(0);
        if taken.total >= TOTAL || (here >= PER_ADDRESS && !address.is_loopback()) {
            return None;
        }
        taken.total += 1;
        taken.by_address.insert(address, here + 1);
        Some(Place { places: self.clone(), address })
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().expect("nobody panics while holding this lock")
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
        let places = Places::default();
        let one: IpAddr = "10.0.0.1".parse().unwrap();
        let held: Vec<Place> = (0..PER_ADDRESS).map(|_| places.take(one).unwrap()).collect();
        assert!(places.take(one).is_none());
        assert!(places.take("10.0.0.2".parse().unwrap()).is_some());
        drop(held);
        assert_eq!(places.taken(), 0);
        assert!(places.lock().by_address.is_empty());
        assert!(places.take(one).is_some());
    }

    #[test]
    fn there_is_a_bound_for_loopback_too() {
        let places = Places::default();
        let held: Vec<Place> = (0..TOTAL).map_while(|_| places.take([127, 0, 0, 1].into())).collect();
        assert_eq!(held.len(), TOTAL);
        assert!(places.take([127, 0, 0, 1].into()).is_none());
    }
}
