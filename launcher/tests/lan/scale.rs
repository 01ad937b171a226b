//! Many nodes: 50 with `P2P_LONG=1`, otherwise 10; `P2P_NODES` sets another number. Also their idle traffic: in ten seconds after a short
//! pause, or with `P2P_LONG=1` in a minute after a longer one.

use std::time::{Duration, Instant};

use crate::network::Network;
use crate::node::{Node, until_linked};
use crate::support::dice::is_long;
use crate::support::wait_for;

/// All nodes must have found all others this soon after the last one is ready.
const SOON: Duration = Duration::from_secs(1);

/// Packets per second of an idle node: presence, beacons, mDNS,
const QUIET: f64 = 3.0;
/// and additionally per minute for each other node, which is probed once a minute: the probe or the answer, and its acknowledgement.
const QUIET_EACH: f64 = 2.0;

/// The kernel's limit on neighbour entries, which all hosts of this machine share, and which is set in the root namespace. Restored when
/// dropped.
struct Neighbours(Vec<(String, String)>);

impl Neighbours {
    fn of(hosts: u32) -> Self {
        let paths = ["ipv4", "ipv6"].into_iter().flat_map(|family| {
            [3, 2, 1].map(|n| format!("/proc/sys/net/{family}/neigh/default/gc_thresh{n}"))
        });
        let mut before = Vec::new();
        for path in paths {
            let known = std::fs::read_to_string(&path).unwrap();
            let room = (2 * hosts * hosts).max(known.trim().parse().unwrap());
            std::fs::write(&path, room.to_string()).unwrap();
            before.push((path, known));
        }
        Self(before)
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        for (path, before) in &self.0 {
            let _ = std::fs::write(path, before);
        }
    }
}

#[test]
fn many_nodes_all_find_each_other_and_are_quiet_when_nobody_talks() {
    let asked = std::env::var("P2P_NODES").ok().and_then(|count| count.parse().ok());
    let count = asked.unwrap_or(if is_long() { 50 } else { 10 });
    let Some(network) = Network::of(count) else { return };
    let _room = (count > 20).then(|| Neighbours::of(count));
    let start = |n| Node::start(network.host(n), &[&format!("lan-peer.name=node {n}")]);
    let mut nodes: Vec<Node> = (1..=count).map(start).collect();
    let (mut found, mut connected) = until_all_met(&nodes);
    let dials: u64 = nodes.iter().map(|node| node.metric("dials_total")).sum();
    eprintln!(
        "{count} nodes, after the last one served: all found all in {found:?}, all connected with all in {connected:?}, by {dials} dials"
    );
    assert!(dials * 2 < 3 * u64::from(count * (count - 1) / 2), "both sides dial each other");
    // Other tests run concurrently: the best of three counts.
    for _ in 0..2 {
        if connected > SOON {
            let last = nodes.last_mut().unwrap();
            last.stop();
            last.start_again();
            let again = until_all_met(&nodes);
            eprintln!("the last one again: found in {:?}, connected in {:?}", again.0, again.1);
            (found, connected) = (found.min(again.0), connected.min(again.1));
        }
    }
    assert!(found < SOON && connected < SOON, "{found:?}, {connected:?}");
    let ids: Vec<String> = nodes.iter().map(Node::id).collect();
    for (node, next) in nodes.iter().zip(ids.iter().cycle().skip(1)) {
        wait_for("the next one", || node.is_linked(next).then_some(()));
        node.say(next, "hello");
    }
    wait_for("everybody to be greeted", || nodes.iter().all(|node| node.texts() == ["hello"]).then_some(()));

    assert_idle_is_quiet(&network, &nodes);
}

#[test]
fn two_nodes_are_quiet_when_nobody_talks() {
    let Some(network) = Network::of(2) else { return };
    let nodes = [1, 2].map(|n| Node::start(network.host(n), &[]));
    until_linked(&nodes[0], &nodes[1]);
    assert_idle_is_quiet(&network, &nodes);
}

/// How long it takes until each node has found, and then is connected with, each other.
fn until_all_met(nodes: &[Node]) -> (Duration, Duration) {
    let begun = Instant::now();
    let until = |what: &str| {
        nodes.iter().for_each(|node| node.wait_for_metric(what, nodes.len() as u64 - 1));
        begun.elapsed()
    };
    (until("found"), until("connected"))
}

/// Prints what the first node costs while idle.
fn assert_idle_is_quiet(network: &Network, nodes: &[Node]) {
    // The traffic of a start, mainly mDNS probes, is not idle traffic.
    std::thread::sleep(Duration::from_secs(if is_long() { 30 } else { 5 }));
    let pause = Duration::from_secs(if is_long() { 60 } else { 10 });
    let (before, cpu) = (network.sent(1), nodes[0].cpu_millis());
    std::thread::sleep(pause);
    let (after, cpu) = (network.sent(1), nodes[0].cpu_millis() - cpu);
    let seconds = pause.as_secs_f64();
    let (packets, bytes) =
        ((after.0 - before.0) as f64 / seconds, (after.1 - before.1) as f64 / seconds * 60.0);
    let spent = cpu as f64 / pause.as_millis() as f64 * 100.0;
    let (count, memory) = (nodes.len(), nodes[0].memory_kib());
    eprintln!(
        "idle among {count}: {packets:.1} packets a second and {bytes:.0} bytes a minute sent, {spent:.2} % of a processor, {memory} KiB"
    );
    let others = nodes.len() as f64 - 1.0;
    assert!(packets < QUIET + QUIET_EACH * others / 60.0, "{packets}");
}
