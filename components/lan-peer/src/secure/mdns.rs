//! DNS-SD (RFC 6763) over mDNS (RFC 6762): `_p2pchat._tcp.local.` on every interface, IPv4 and IPv6. The library has a thread of its own,
//! which is ended in a flood of packets or of nodes (see [`super::mdns_guard`]) and started again after [`PAUSE`], and later each time up to [`LONGEST`].

use std::net::{SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use kit::backoff::unit_random;
use mdns_sd::{
    IfKind, IfPredicate, Metrics, Receiver, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent,
    ServiceInfo,
};
use protocol::lan::service::{ID, SERVICE, node_in};
use tokio::time::{Instant, MissedTickBehavior};

use super::mdns_guard::{self, Guard, LOOK, is_too_much};
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
/// How long it is away after the first flood.
const PAUSE: Duration = Duration::from_secs(30);
/// How long after many.
const LONGEST: Duration = Duration::from_secs(600);
/// How long its thread may take to end.
const END: Duration = Duration::from_secs(2);

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
    let mut pause = PAUSE;
    loop {
        let begun = Instant::now();
        match start(&node).and_then(|daemon| daemon.browse(SERVICE).map(|events| (daemon, events))) {
            Ok((daemon, events)) => {
                follow(&node, &daemon, &events).await;
                end(&daemon).await;
            }
            Err(error) => {
                return tracing::warn!(%error, "mDNS is unavailable; finding peers by broadcast only");
            }
        }
        if begun.elapsed() > LONGEST {
            pause = PAUSE;
        }
        node.counters.mdns_pauses.add(1);
        tracing::warn!(?pause, "mDNS flood; pausing mDNS and finding peers by broadcast only");
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LONGEST);
    }
}

/// Takes what is found, until that costs too much.
async fn follow(node: &Node, daemon: &ServiceDaemon, events: &Receiver<ServiceEvent>) {
    let (mut guard, mut looks) = (Guard::new(), tokio::time::interval(LOOK));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looked, mut counts) = (Instant::now(), None);
    loop {
        tokio::select! {
            event = events.recv_async() => match event {
                Ok(ServiceEvent::ServiceResolved(service)) => found(node, &service),
                Ok(_) => {}
                Err(_) => return,
            },
            now = looks.tick() => {
                // The answer to what was asked at the last look; one that is too busy to answer is measured all the same.
                let records = counts.and_then(|counts: Receiver<Metrics>| counts.try_recv().ok());
                if guard.is_flooded(now.duration_since(looked)) || records.is_some_and(|counts| is_too_much(&counts)) {
                    return;
                }
                (looked, counts) = (now, daemon.get_metrics().ok());
            }
        }
    }
}

/// Ends the library's thread, and waits for it.
async fn end(daemon: &ServiceDaemon) {
    mdns_guard::close_sockets();
    loop {
        if let Ok(ended) = daemon.shutdown()
            && tokio::time::timeout(END, ended.recv_async()).await.is_ok()
        {
            return;
        }
        // There is still more to read than can be read; two of them at once would be no better.
        tokio::time::sleep(LOOK).await;
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
        node.hint(id, address, false);
    }
}

/// An address; a link-local one with the interface it is on.
fn place(ip: &ScopedIp, port: u16) -> SocketAddr {
    match ip {
        ScopedIp::V6(v6) => SocketAddrV6::new(*v6.addr(), port, 0, v6.scope_id().index).into(),
        other => SocketAddr::new(other.to_ip_addr(), port),
    }
}
