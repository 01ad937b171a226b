//! Connection limits: in total, and per address, so that one machine cannot use up all places.
//!
//! An IPv4 address is the same in either notation (`::ffff:10.0.0.1`), and an IPv6 /64 counts as one address, because one customer commonly
//! has it. Loopback counts only towards the total: it stands for our own processes, and for a proxy with many clients.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

/// Counts the places in use. Cheap to clone; clones share their places.
///
/// Bound: the table has at most one entry per place. Overflow rule: when all are taken, further connections get none.
#[derive(Debug, Clone)]
pub struct Places {
    total: usize,
    per_address: usize,
    of: fn(IpAddr) -> IpAddr,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// All places are taken.
    Full,
    /// This address has reached its limit.
    Address,
}

/// A place, released on drop.
#[derive(Debug)]
pub struct Place {
    places: Places,
    address: Option<IpAddr>,
}

impl Places {
    /// Allows `total` places, and `per_address` for each address; 0 means no limit per address.
    #[must_use]
    pub fn new(total: usize, per_address: usize) -> Self {
        Self { total, per_address, of: network_of, taken: Arc::default() }
    }

    /// Like [`Places::new`], but every IPv6 address counts separately: on a local network all machines share one /64.
    #[must_use]
    pub fn on_local_network(total: usize, per_address: usize) -> Self {
        Self { of: |ip| ip.to_canonical(), ..Self::new(total, per_address) }
    }

    /// Takes a place for a connection from this address.
    ///
    /// # Errors
    /// When no place is free.
    pub fn take(&self, ip: IpAddr) -> Result<Place, NoPlace> {
        let mut place = self.take_any()?;
        place.count_for(ip)?;
        Ok(place)
    }

    /// Takes a place for a connection whose client address is not known yet.
    ///
    /// # Errors
    /// When no place is free.
    pub fn take_any(&self) -> Result<Place, NoPlace> {
        let mut taken = self.lock();
        if taken.total >= self.total {
            return Err(NoPlace::Full);
        }
        taken.total += 1;
        Ok(Place { places: self.clone(), address: None })
    }

    /// Whether this address uses any place.
    #[must_use]
    pub fn are_taken_from(&self, ip: IpAddr) -> bool {
        self.lock().by_address.contains_key(&(self.of)(ip))
    }

    /// The number of places in use.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().expect("nobody panics while holding this lock")
    }
}

impl Place {
    /// Assigns this place to an address, if its limit allows.
    ///
    /// # Errors
    /// When the address has reached its limit.
    pub fn count_for(&mut self, ip: IpAddr) -> Result<(), NoPlace> {
        if self.address.is_some() {
            return Ok(());
        }
        let (address, most) = ((self.places.of)(ip), self.places.per_address);
        let mut taken = self.places.lock();
        let here = taken.by_address.get(&address).copied().unwrap_or(0);
        if most > 0 && here >= most && !address.is_loopback() {
            return Err(NoPlace::Address);
        }
        taken.by_address.insert(address, here + 1);
        drop(taken);
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.total -= 1;
        if let Some(address) = self.address
            && let Some(here) = taken.by_address.get_mut(&address)
        {
            *here -= 1;
            if *here == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

/// The address in canonical notation; for IPv6, its /64.
#[must_use]
pub fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_cannot_take_every_place_and_places_come_back() {
        let places = Places::new(7, 2);
        let _one = places.take(ip("10.0.0.1")).unwrap();
        let two = places.take(ip("::ffff:10.0.0.1")).unwrap();
        assert_eq!(places.take(ip("10.0.0.1")).unwrap_err(), NoPlace::Address);
        let _other = places.take(ip("10.0.0.2")).unwrap();
        drop(two);
        let _again = places.take(ip("10.0.0.1")).unwrap();
        assert!(places.are_taken_from(ip("10.0.0.1")) && !places.are_taken_from(ip("10.0.0.3")));
        let held: Vec<_> = (0..4).map(|_| places.take(ip("10.0.0.3")).ok()).collect();
        assert_eq!(held.iter().flatten().count(), 2);
        drop(held);
        assert_eq!(places.taken(), 3);
        assert_eq!(places.lock().by_address.len(), 2);
    }

    #[test]
    fn behind_a_proxy_the_client_counts() {
        let places = Places::new(9, 1);
        let mut first = places.take_any().unwrap();
        first.count_for(ip("10.0.0.2")).unwrap();
        let mut second = places.take_any().unwrap();
        assert_eq!(second.count_for(ip("10.0.0.2")).unwrap_err(), NoPlace::Address);
        drop((first, second));
        assert!(places.lock().by_address.is_empty() && places.taken() == 0);
    }

    #[test]
    fn loopback_in_either_notation_is_only_counted_in_all() {
        let places = Places::new(6, 2);
        let held: Vec<_> = ["127.0.0.1", "::ffff:127.0.0.1", "::1"]
            .into_iter()
            .flat_map(|address| [address, address])
            .map(|address| places.take(ip(address)).unwrap())
            .collect();
        assert_eq!(held.len(), 6);
        assert_eq!(places.take(ip("127.0.0.1")).unwrap_err(), NoPlace::Full);
    }

    #[test]
    fn a_network_of_version_six_counts_as_one_address() {
        let places = Places::new(10, 1);
        let _place = places.take(ip("2001:db8::1:2:3:4")).unwrap();
        assert_eq!(places.take(ip("2001:db8::9")).unwrap_err(), NoPlace::Address);
        assert!(places.take(ip("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn on_a_local_network_every_machine_counts_alone() {
        let places = Places::on_local_network(10, 1);
        let _place = places.take(ip("fe80::1")).unwrap();
        assert!(places.take(ip("fe80::2")).is_ok());
        assert_eq!(places.take(ip("fe80::1")).unwrap_err(), NoPlace::Address);
    }
}
