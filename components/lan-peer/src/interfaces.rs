//! The networks that this machine is on, looked at again every [`LOOK`].

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use if_addrs::{IfAddr, IfOperStatus};

use crate::node::Node;

/// How often. A machine that moves to another network is announced there this much later.
const LOOK: Duration = Duration::from_secs(2);
/// More addresses than this are not looked at.
const MAX: usize = 64;

/// One address of this machine, on a network that others are on, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    /// The interface's name.
    pub(crate) name: String,
    /// Our address.
    pub(crate) ip: Ipv4Addr,
    /// Which of its bits name the network.
    mask: Ipv4Addr,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Interfaces(Vec<Interface>);

impl Interface {
    /// Whether an address is on this network, and can be a machine's.
    fn holds(&self, ip: Ipv4Addr) -> bool {
        let (own, mask, other) = (u32::from(self.ip), u32::from(self.mask), u32::from(ip));
        let host = other & !mask;
        let is_network = own & mask == other & mask;
        is_network && (mask >= u32::MAX - 1 || (host != 0 && host != !mask))
    }

    /// The address of everybody on this network.
    pub(crate) fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.ip) | !u32::from(self.mask))
    }
}

impl Interfaces {
    /// As they are now; those that are down or lead to nobody are left out.
    pub(crate) fn look() -> std::io::Result<Self> {
        let found = if_addrs::get_if_addrs()?.into_iter().filter(|interface| {
            !interface.is_loopback() && !matches!(interface.oper_status, IfOperStatus::Down)
        });
        let v4 = found.filter_map(|interface| match interface.addr {
            IfAddr::V4(address) => {
                Some(Interface { name: interface.name, ip: address.ip, mask: address.netmask })
            }
            IfAddr::V6(_) => None,
        });
        Ok(Self(v4.take(MAX).collect()))
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Interface> {
        self.0.iter()
    }

    /// Whether an address is ours.
    pub(crate) fn are_at(&self, ip: IpAddr) -> bool {
        self.iter().any(|one| IpAddr::V4(one.ip) == ip)
    }

    /// Whether an address was ours and is not any more. Of IPv6 we do not know.
    pub(crate) fn have_lost(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() && !ip.is_loopback() && !self.are_at(ip)
    }

    /// Whether a machine on one of our networks, and not this one, can have this address. Of IPv6 those that no router carries out
    /// of a site can.
    pub(crate) fn can_be_peer(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => self.iter().any(|one| one.holds(ip)) && self.iter().all(|one| one.ip != ip),
            IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_unique_local(),
        }
    }
}

/// Keeps the node's list as it is.
pub(crate) async fn watch(node: Arc<Node>) {
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        ticks.tick().await;
        match Interfaces::look() {
            Ok(now) => {
                node.interfaces.send_if_modified(|known| {
                    let is_new = *known != now;
                    if is_new {
                        let names: Vec<String> =
                            now.iter().map(|one| format!("{} {}", one.name, one.ip)).collect();
                        tracing::info!(networks = names.join(", "), "on these networks now");
                        *known = now;
                    }
                    is_new
                });
            }
            Err(error) => tracing::warn!(%error, "cannot list the network interfaces"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_machine_on_our_network_can_be_a_peer() {
        let one = Interface { name: "e0".into(), ip: [10, 0, 3, 7].into(), mask: [255, 255, 252, 0].into() };
        assert_eq!(one.broadcast(), Ipv4Addr::new(10, 0, 3, 255));
        let all = Interfaces(vec![one]);
        for good in [[10, 0, 0, 1], [10, 0, 3, 254]] {
            assert!(all.can_be_peer(good.into()), "{good:?}");
        }
        for bad in
            [[10, 0, 3, 7], [10, 0, 0, 0], [10, 0, 3, 255], [10, 0, 4, 1], [0; 4], [255; 4], [127, 0, 0, 1]]
        {
            assert!(!all.can_be_peer(bad.into()), "{bad:?}");
        }
        for (ip, can) in [("::1", false), ("2001:db8::1", false), ("fe80::1", true), ("fd00::1", true)] {
            assert_eq!(all.can_be_peer(ip.parse().unwrap()), can, "{ip}");
        }
        assert!(all.have_lost([10, 0, 0, 1].into()) && !all.have_lost([10, 0, 3, 7].into()));
    }
}
