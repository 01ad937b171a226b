//! Announces this node on every network: every [`PRESENCE_EVERY`] with legacy presence, and every fifth time with our beacon.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use protocol::lan::datagram::{GROUP, PRESENCE, PRESENCE_EVERY};
use tokio::time::Instant;

use super::note;
use super::sockets::send_once;
use crate::interfaces::{Broadcast, Interfaces};
use crate::node::Node;

/// Delay of the second announcement after a start or a change of network: a switch may still be learning the group's members, and datagrams
/// get lost.
const AGAIN: Duration = Duration::from_millis(400);
/// The first announcements after a start or a change of network include the beacon on every network.
const BEACONS_AT_FIRST: u32 = 3;
/// Later, one of this many includes it; connections make up for the rest.
const BEACON_EVERY: u32 = 5;
/// Delay of the common answer if there are too many new peers to answer each, so that nobody can make us flood others.
const CROWD: Duration = Duration::from_millis(250);

/// Announces this node on every network, for ever.
pub(crate) async fn run(node: Arc<Node>) {
    let mut interfaces = node.interfaces.subscribe();
    let (mut count, mut next) = (0, Instant::now());
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            // A new network: announce at once.
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

/// The `count`th announcement since the last change. The beacon is first, so that nodes do not take us for a legacy program.
fn tell(node: &Node, interfaces: &Interfaces, count: u32) {
    let (is_first, port) = (count < BEACONS_AT_FIRST, node.config.udp_port);
    let beacon = node.beacon.to_bytes();
    let with_beacon = is_first || count.is_multiple_of(BEACON_EVERY);
    for Broadcast { from, to } in interfaces.broadcasts() {
        for bytes in [with_beacon.then_some(&*beacon), Some(PRESENCE)].into_iter().flatten() {
            let all = [Ipv4Addr::BROADCAST, to].map(|to| SocketAddr::from((to, port)));
            note(
                node,
                send_once(from.into(), all[0], bytes).or_else(|_| send_once(from.into(), all[1], bytes)),
            );
        }
    }
    // Beside IPv4, it is for nodes without it, which also receive answers to their own beacons.
    for segment in interfaces.segments() {
        if is_first || (with_beacon && segment.is_ipv6_only) {
            let group = SocketAddrV6::new(GROUP, port, 0, segment.index);
            note(node, send_once(Ipv6Addr::UNSPECIFIED.into(), group.into(), &beacon));
        }
    }
    for ip in node.config.legacy_peers() {
        let from: IpAddr =
            if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        note(node, send_once(from, (ip, port).into(), PRESENCE));
    }
}
