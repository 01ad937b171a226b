//! Tells every network that we are here: every [`PRESENCE_EVERY`] as the old kind does, and every fifth time with our beacon.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use protocol::lan::datagram::{GROUP, PRESENCE, PRESENCE_EVERY};
use tokio::time::Instant;

use super::note;
use super::sockets::shout;
use crate::interfaces::{Broadcast, Interfaces};
use crate::node::Node;

/// The second announcement after a start or a change of network comes this soon: a switch may still learn who listens to the group, and
/// a datagram may get lost.
const AGAIN: Duration = Duration::from_millis(400);
/// So many announcements after a start or a change of network are with our beacon on every network.
const BEACONS_AT_FIRST: u32 = 3;
/// Of the later ones one of so many is; connections tell the rest.
const BEACON_EVERY: u32 = 5;
/// Newcomers that are too many to be answered each are all told at once, after this, so that nobody can make us flood others.
const CROWD: Duration = Duration::from_millis(250);

/// Tells every network that we are here, for ever.
pub(crate) async fn run(node: Arc<Node>) {
    let mut interfaces = node.interfaces.subscribe();
    let (mut count, mut next) = (0, Instant::now());
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            // Another network: it is told at once.
            changed = interfaces.changed() => match changed {
                Ok(()) => count = 0,
                Err(_) => return,
            },
            () = node.crowd.notified() => {
                tokio::time::sleep(CROWD).await;
                count = 0;
            }
        }
        let now = interfaces.borrow_and_update().clone();
        tell(&node, &now, count);
        count += 1;
        next = Instant::now() + if count == 1 { AGAIN } else { PRESENCE_EVERY };
    }
}

/// The `count`th time since something changed. The beacon is first: whoever has heard it need not take us for a program of the old kind.
fn tell(node: &Node, interfaces: &Interfaces, count: u32) {
    let (is_first, port) = (count < BEACONS_AT_FIRST, node.config.udp_port);
    let beacon = node.beacon.to_bytes();
    let with_beacon = is_first || count.is_multiple_of(BEACON_EVERY);
    for Broadcast { from, to } in interfaces.broadcasts() {
        for bytes in [with_beacon.then_some(&*beacon), Some(PRESENCE)].into_iter().flatten() {
            let all = [Ipv4Addr::BROADCAST, to].map(|to| SocketAddr::from((to, port)));
            note(node, shout(from.into(), all[0], bytes).or_else(|_| shout(from.into(), all[1], bytes)));
        }
    }
    // Beside IPv4 it is for those who have none: they are told of us in answer to their own beacons, too.
    for segment in interfaces.segments() {
        if is_first || (with_beacon && segment.is_ipv6_only) {
            let group = SocketAddrV6::new(GROUP, port, 0, segment.index);
            note(node, shout(Ipv6Addr::UNSPECIFIED.into(), group.into(), &beacon));
        }
    }
    for ip in node.config.old() {
        let from: IpAddr =
            if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        note(node, shout(from, (ip, port).into(), PRESENCE));
    }
}
