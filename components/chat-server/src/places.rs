//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

/// Counts open connections.
///
/// Bound: the table has at most one entry for each open connection.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    most_per_address: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// The server has as many connections as it takes.
    Full,
    /// This address has.
    Address,
}

/// An open connection's place; free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    address: Option<IpAddr>,
}

impl Places {
    /// So many in all, and from one address; 0 there is no limit.
    pub(crate) fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Self { most, most_per_address, counts: Mutex::default() })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().expect("nobody panics while holding this lock")
    }

    /// A place for a connection from this address. Loopback is only counted in all: behind it are our own adapters.
    pub(crate) fn take(self: &Arc<Self>, ip: IpAddr) -> Result<Place, NoPlace> {
        let mut place = self.take_any()?;
        place.count_for(ip)?;
        Ok(place)
    }

    /// A place for a connection of which it is not known yet for which address it counts.
    pub(crate) fn take_any(self: &Arc<Self>) -> Result<Place, NoPlace> {
        let mut counts = self.counts();
        if counts.all >= self.most {
            return Err(NoPlace::Full);
        }
        counts.all += 1;
        Ok(Place { places: Arc::clone(self), address: None })
    }
}

impl Place {
    /// Counts for this address from now on, if it may have one more.
    pub(crate) fn count_for(&mut self, ip: IpAddr) -> Result<(), NoPlace> {
        let (ip, most) = (network_of(ip), self.places.most_per_address);
        if most == 0 || ip.is_loopback() || self.address.is_some() {
            return Ok(());
        }
        let mut counts = self.places.counts();
        let here = counts.by_address.entry(ip).or_default();
        if *here >= most {
            return Err(NoPlace::Address);
        }
        *here += 1;
        drop(counts);
        self.address = Some(ip);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.places.counts();
        counts.all -= 1;
        if let Some(address) = self.address
            && let Some(here) = counts.by_address.get_mut(&address)
        {
            *here -= 1;
            if *here == 0 {
                counts.by_address.remove(&address);
            }
        }
    }
}

/// One customer commonly holds a whole IPv6 /64, so that counts as one address.
fn network_of(ip: IpAddr) -> IpAddr {
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
    fn an_address_has_its_share_and_loopback_is_exempt() {
        let places = Places::new(7, 2);
        let _one = places.take(ip("10.0.0.1")).unwrap();
        let two = places.take(ip("::ffff:10.0.0.1")).unwrap();
        assert_eq!(places.take(ip("10.0.0.1")).unwrap_err(), NoPlace::Address);
        let _other = places.take(ip("10.0.0.2")).unwrap();
        drop(two);
        let _again = places.take(ip("10.0.0.1")).unwrap();
        let loopback: Vec<_> = (0..4).map(|_| places.take(ip("127.0.0.1")).unwrap()).collect();
        assert_eq!(places.take(ip("10.0.0.3")).unwrap_err(), NoPlace::Full);
        drop(loopback);
        let mut proxied = places.take_any().unwrap();
        proxied.count_for(ip("10.0.0.2")).unwrap();
        let mut second = places.take_any().unwrap();
        assert_eq!(second.count_for(ip("10.0.0.2")).unwrap_err(), NoPlace::Address, "the client counts");
        drop((proxied, second));
        assert_eq!(places.counts().all, 3);
        assert_eq!(places.counts().by_address.len(), 2);
    }

    #[test]
    fn a_network_of_version_six_counts_as_one_address() {
        assert_eq!(network_of(ip("2001:db8::1:2:3:4")), network_of(ip("2001:db8::9")));
        assert_ne!(network_of(ip("2001:db8:0:1::1")), network_of(ip("2001:db8::1")));
        assert!(network_of(ip("::1")).is_loopback());
    }
}
