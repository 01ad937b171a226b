//! The networks that this machine is on, polled by [`crate::node::watch_networks`].

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use if_addrs::{IfAddr, IfOperStatus};

use crate::choice::Choice;

/// Most addresses that are considered.
const MAX: usize = 64;

/// An address of this machine on a shared network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    /// The interface's name, and its number.
    name: String,
    index: u32,
    /// Our address.
    ip: IpAddr,
    /// The prefix length of the network.
    prefix: u8,
}

/// The interfaces in use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Interfaces {
    used: Vec<Interface>,
    /// The names of interfaces that are up but not used.
    left_out: BTreeSet<String>,
}

/// The route to a machine on one of our networks: our address there, and the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LocalRoute {
    /// Our address there.
    pub(crate) from: IpAddr,
    /// The number of our interface there.
    pub(crate) index: u32,
}

/// The addresses for a broadcast on one IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broadcast {
    /// Our address there.
    pub(crate) from: Ipv4Addr,
    /// The broadcast address.
    pub(crate) to: Ipv4Addr,
}

/// An interface for multicast by IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The number of our interface there.
    pub(crate) index: u32,
    /// Whether it has no IPv4 address.
    pub(crate) is_ipv6_only: bool,
}

impl Interface {
    /// Whether an address is on this network and can belong to a machine.
    fn holds(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = mask(self.prefix);
                let (own, other) = (u32::from(own), u32::from(other));
                let host = other & !mask;
                own & mask == other & mask && (self.prefix >= 31 || (host != 0 && host != !mask))
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix.min(128))).unwrap_or(0);
                u128::from(own) & mask == u128::from(other) & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    fn broadcast(&self) -> Option<Broadcast> {
        match self.ip {
            IpAddr::V4(from) => {
                Some(Broadcast { from, to: Ipv4Addr::from(u32::from(from) | !mask(self.prefix)) })
            }
            IpAddr::V6(_) => None,
        }
    }

    fn is_link_local(&self) -> bool {
        matches!(self.ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

impl Interfaces {
    /// Reads the current interfaces; those that are down or not on a network are omitted.
    pub(crate) fn look(choice: &Choice) -> std::io::Result<Self> {
        let found = if_addrs::get_if_addrs()?.into_iter().filter(|interface| {
            !interface.is_loopback() && !matches!(interface.oper_status, IfOperStatus::Down)
        });
        let (taken, left): (Vec<_>, Vec<_>) =
            found.partition(|interface| choice.takes(&interface.name, interface.is_p2p()));
        let mut all: Vec<Interface> = taken
            .into_iter()
            .map(|interface| {
                let (ip, prefix) = match interface.addr {
                    IfAddr::V4(address) => (IpAddr::V4(address.ip), address.prefixlen),
                    IfAddr::V6(address) => (IpAddr::V6(address.ip), address.prefixlen),
                };
                Interface { name: interface.name, index: interface.index.unwrap_or(0), ip, prefix }
            })
            .collect();
        // If there are too many, addresses suitable for announcements come first.
        all.sort_by_key(|one| (one.ip.is_ipv6(), one.is_link_local()));
        all.truncate(MAX);
        let left_out = left.into_iter().map(|interface| interface.name).take(MAX).collect();
        Ok(Self { used: all, left_out })
    }

    /// Where to announce this node by IPv4.
    pub(crate) fn broadcasts(&self) -> impl Iterator<Item = Broadcast> {
        self.used.iter().filter_map(Interface::broadcast)
    }

    /// Where to announce this node by IPv6, and to listen.
    pub(crate) fn segments(&self) -> Vec<Segment> {
        let on =
            |is_ipv6| self.used.iter().filter(move |one| one.ip.is_ipv6() == is_ipv6).map(|one| one.index);
        let with_ipv4: HashSet<u32> = on(false).collect();
        let indexes: BTreeSet<u32> = on(true).collect();
        indexes
            .into_iter()
            .map(|index| Segment { index, is_ipv6_only: !with_ipv4.contains(&index) })
            .collect()
    }

    /// For display: `e0 10.0.0.7`. Link-local addresses are omitted if there are others.
    pub(crate) fn names(&self) -> Vec<String> {
        let has_better = !self.used.iter().all(Interface::is_link_local);
        let shown = self.used.iter().filter(|one| !(has_better && one.is_link_local()));
        shown.map(|one| format!("{} {}", one.name, one.ip)).collect()
    }

    /// The names of interfaces that are up but not used.
    pub(crate) fn left_out(&self) -> impl Iterator<Item = &str> {
        self.left_out.iter().map(String::as_str)
    }

    /// The route to an address on one of our networks.
    pub(crate) fn route_to(&self, ip: IpAddr) -> Option<LocalRoute> {
        let there = self.used.iter().find(|one| one.holds(ip)).filter(|_| !self.are_at(ip))?;
        Some(LocalRoute { from: there.ip, index: there.index })
    }

    /// Whether an address is ours.
    pub(crate) fn are_at(&self, ip: IpAddr) -> bool {
        self.used.iter().any(|one| one.ip == ip)
    }

    /// Whether an address used to be ours.
    pub(crate) fn have_lost(&self, ip: IpAddr) -> bool {
        !ip.is_loopback() && !self.are_at(ip)
    }

    /// Whether this can be the address of another machine on one of our networks.
    pub(crate) fn can_be_peer(&self, ip: IpAddr) -> bool {
        self.route_to(ip).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(ip: &str, prefix: u8) -> Interface {
        Interface { name: "e0".into(), index: 2, ip: ip.parse().unwrap(), prefix }
    }

    fn all(used: Vec<Interface>) -> Interfaces {
        Interfaces { used, ..Interfaces::default() }
    }

    #[test]
    fn each_interface_is_told_once_and_it_is_known_where_ipv6_is_all_there_is() {
        let beside = Interface { index: 3, ..interface("fe80::8", 64) };
        let all = all(vec![
            interface("10.0.3.7", 22),
            interface("fe80::7", 64),
            interface("2001:db8:1::7", 64),
            beside,
            Interface { index: 4, ..interface("192.0.2.7", 32) },
        ]);
        let told = [Segment { index: 2, is_ipv6_only: false }, Segment { index: 3, is_ipv6_only: true }];
        assert_eq!(all.segments(), told);
    }

    #[test]
    fn only_a_machine_on_our_network_can_be_a_peer() {
        let all = all(vec![
            interface("10.0.3.7", 22),
            interface("192.0.2.7", 32),
            interface("2001:db8:1::7", 64),
            interface("fe80::7", 64),
        ]);
        for good in ["10.0.0.1", "10.0.3.254", "2001:db8:1::1", "fe80::1"] {
            assert!(all.can_be_peer(good.parse().unwrap()), "{good}");
        }
        for bad in [
            "10.0.3.7",
            "10.0.0.0",
            "10.0.3.255",
            "10.0.4.1",
            "0.0.0.0",
            "255.255.255.255",
            "127.0.0.1",
            "192.0.2.8",
            "::1",
            "2001:db8:1::7",
            "2001:db8:2::1",
            "fd00::1",
            "fe80::7",
        ] {
            assert!(!all.can_be_peer(bad.parse().unwrap()), "{bad}");
        }
        let way = LocalRoute { from: [10, 0, 3, 7].into(), index: 2 };
        assert_eq!(all.route_to([10, 0, 0, 1].into()), Some(way));
        assert!(all.have_lost([10, 0, 0, 1].into()) && !all.have_lost([10, 0, 3, 7].into()));
        let told: Vec<Ipv4Addr> = all.broadcasts().map(|one| one.to).collect();
        assert_eq!(told, [Ipv4Addr::new(10, 0, 3, 255), Ipv4Addr::new(192, 0, 2, 7)]);
    }

    #[test]
    fn addresses_of_one_link_are_shown_where_there_are_no_others() {
        let (plain, link) = (interface("10.0.3.7", 22), interface("fe80::7", 64));
        assert_eq!(all(vec![plain, link.clone()]).names(), ["e0 10.0.3.7"]);
        assert_eq!(all(vec![link]).names(), ["e0 fe80::7"]);
        assert!(Interfaces::default().names().is_empty());
    }
}
