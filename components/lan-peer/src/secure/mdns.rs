//! DNS-SD (RFC 6763) over mDNS (RFC 6762): `_p2pchat._tcp.local.` on every interface, IPv4 and IPv6. The library has a thread of its own.

use std::net::{SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use kit::backoff::unit_random;
use mdns_sd::{IfKind, IfPredicate, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use protocol::lan::service::{ID, SERVICE, node_in};

use crate::choice::Choice;
use crate::node::Node;

/// Addresses of one peer that are tried.
const ADDRESSES: usize = 4;
/// Where beacons are heard, somebody is connected after this; then it begins
const ALONE: Duration = Duration::from_millis(100);
/// once nobody has come for this long, or up to as much again: where many start together, mDNS would be most of the work while everybody
/// meets everybody;
const LATER: Duration = Duration::from_secs(2);
/// or after so many times that, whoever comes.
const TIMES: usize = 5;

/// Announces this node and looks for others, for ever. What is found is a hint, as everything that is not proved.
pub(crate) async fn run(node: Arc<Node>) {
    if !node.config.mdns {
        return;
    }
    tokio::time::sleep(ALONE).await;
    let mut met = 0;
    for _ in 0..TIMES {
        let now = node.links.count();
        if now <= met {
            break;
        }
        met = now;
        tokio::time::sleep(LATER.mul_f64(1.0 + unit_random())).await;
    }
    let daemon = match start(&node) {
        Ok(daemon) => daemon,
        Err(error) => return tracing::warn!(%error, "no mDNS; others are found by broadcast only"),
    };
    match daemon.browse(SERVICE) {
        Ok(events) => {
            while let Ok(event) = events.recv_async().await {
                if let ServiceEvent::ServiceResolved(service) = event {
                    found(&node, &service);
                }
            }
        }
        Err(error) => tracing::warn!(%error, "cannot look for others by mDNS"),
    }
}

fn start(node: &Node) -> mdns_sd::Result<ServiceDaemon> {
    let daemon = ServiceDaemon::new()?;
    let choice = Choice::of(&node.config.interfaces);
    let is_left_out = IfPredicate::new(move |one| !choice.takes(&one.name, one.is_p2p()));
    daemon.disable_interface(IfKind::Predicate(is_left_out))?;
    let name = node.me.short();
    let id = node.me.to_string();
    let host = format!("p2pchat-{name}.local.");
    let info =
        ServiceInfo::new(SERVICE, &name, &host, "", node.port, &[(ID, id.as_str())][..])?.enable_addr_auto();
    daemon.register(info)?;
    Ok(daemon)
}

fn found(node: &Node, service: &ResolvedService) {
    let Some(id) = service.get_property_val(ID).and_then(node_in) else { return };
    if id == node.me || service.port == 0 {
        return;
    }
    node.counters.mdns.add(1);
    for address in service.addresses.iter().take(ADDRESSES).map(|ip| place(ip, service.port)) {
        node.hint(id, address);
    }
}

/// An address; a link-local one with the interface it is on.
fn place(ip: &ScopedIp, port: u16) -> SocketAddr {
    match ip {
        ScopedIp::V6(v6) => SocketAddrV6::new(*v6.addr(), port, 0, v6.scope_id().index).into(),
        other => SocketAddr::new(other.to_ip_addr(), port),
    }
}
