//! DNS-SD (RFC 6763) over mDNS (RFC 6762): `_p2pchat._tcp.local.` on every interface, IPv4 and IPv6. The library has its own thread, which
//! is stopped in a flood of packets or nodes (see [`super::mdns_guard`]) and restarted after [`PAUSE`], growing up to [`LONGEST`].

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

/// Most addresses of one node that are tried.
const ADDRESSES: usize = 4;
/// First delay before mDNS starts: where beacons work, a node is connected by then.
const ALONE: Duration = Duration::from_millis(100);
/// If so, mDNS starts once no new node has connected for this long (with jitter up to twice as long): when many nodes start together, mDNS
/// would cause most of the work.
const LATER: Duration = Duration::from_secs(2);
/// It starts after this many such delays in any case.
const TIMES: usize = 5;
/// Pause after the first flood.
const PAUSE: Duration = Duration::from_secs(30);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(600);
/// Time limit for the thread to end.
const END: Duration = Duration::from_secs(2);

/// Announces this node and finds others, for ever. Results are hints, like all unproved addresses.
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

/// Processes results until they cost too much.
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
                // The answer to the previous query; a library too busy to answer is still measured.
                let records = counts.and_then(|counts: Receiver<Metrics>| counts.try_recv().ok());
                if guard.is_flooded(now.duration_since(looked)) || records.is_some_and(|counts| is_too_much(&counts)) {
                    return;
                }
                (looked, counts) = (now, daemon.get_metrics().ok());
            }
        }
    }
}

/// Stops the library's thread and waits for it.
async fn end(daemon: &ServiceDaemon) {
    mdns_guard::close_sockets();
    loop {
        if let Ok(ended) = daemon.shutdown()
            && tokio::time::timeout(END, ended.recv_async()).await.is_ok()
        {
            return;
        }
        // Its input is still flooded; two instances at once would not help.
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

/// A socket address; link-local ones include their interface.
fn place(ip: &ScopedIp, port: u16) -> SocketAddr {
    match ip {
        ScopedIp::V6(v6) => SocketAddrV6::new(*v6.addr(), port, 0, v6.scope_id().index).into(),
        other => SocketAddr::new(other.to_ip_addr(), port),
    }
}
