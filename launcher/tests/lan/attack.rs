//! Hosts that mean harm: what they cost, and what goes on meanwhile.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::network::Network;
use crate::node::{Node, until_linked};
use crate::old_peer::OldPeer;
use crate::support::wait_for;

/// Memory that an attack may cost.
const GROWTH_KIB: u64 = 16 * 1024;

const FLOOD: &str = include_str!("flood.py");
const FLOOD_IPV6: &str = include_str!("flood_ipv6.py");

/// What a node spends from here on.
struct Cost<'n> {
    node: &'n Node,
    cpu: u64,
    memory: u64,
    begun: Instant,
}

impl<'n> Cost<'n> {
    fn of(node: &'n Node) -> Self {
        Self { node, cpu: node.cpu_millis(), memory: node.memory_kib(), begun: Instant::now() }
    }

    /// Says what it was, and that it was little.
    fn is_little(&self, what: &str) {
        let took = self.begun.elapsed();
        let spent = (self.node.cpu_millis() - self.cpu) as f64 / took.as_millis() as f64;
        let grown = self.node.memory_kib().saturating_sub(self.memory);
        eprintln!("{what} in {took:?}: {:.1} % of a processor, {grown} KiB more", spent * 100.0);
        // Built for tests it costs a few times what it costs as it is shipped.
        assert!(spent < if cfg!(debug_assertions) { 0.25 } else { 0.05 }, "{spent}");
        assert!(grown < GROWTH_KIB, "{grown} KiB");
    }
}

#[test]
fn forged_presence_costs_little_and_known_peers_stay() {
    let Some(network) = Network::of(3) else { return };
    let node = Node::start(network.host(1), &[]);
    let mut old = OldPeer::start(&network.host(2));
    old.send_to("10.77.0.1", "before");
    wait_for("the message", || (node.texts() == ["before"]).then_some(()));
    let cost = Cost::of(&node);
    let flood = network
        .host(3)
        .within(|| Command::new("python3").args(["-c", FLOOD, "10.77.0.1", "10000", "6"]).output().unwrap());
    let sent: u64 = String::from_utf8(flood.stdout).unwrap().trim().parse().unwrap();
    cost.is_little(&format!("{sent} datagrams"));
    assert!(node.metric("datagrams_total") > sent / 2);
    assert!(node.metric("peers_refused_total") > 0);
    assert!(node.sees("10.77.0.2"));
    old.send_to("10.77.0.1", "after");
    wait_for("the message", || (node.texts() == ["before", "after"]).then_some(()));
}

#[test]
fn forged_beacons_cost_little_and_keep_nobody_out() {
    let Some(network) = Network::of(3) else { return };
    // By beacons alone, which is where the flood is.
    let settings = ["lan-peer.mdns=false"];
    (1..=3).for_each(|n| network.only_ipv6(n));
    let node = Node::start(network.host(1), &settings);
    let cost = Cost::of(&node);
    let mut command = Command::new("python3");
    command.args(["-c", FLOOD_IPV6, "fd77::1", "10000", "6"]).stdout(Stdio::piped());
    let flood = network.host(3).within(|| command.spawn().unwrap());
    node.wait_for_metric("datagrams_total", 10_000);
    let honest = Node::start(network.host(2), &settings);
    let found = until_linked(&node, &honest);
    let sent: u64 =
        String::from_utf8(flood.wait_with_output().unwrap().stdout).unwrap().trim().parse().unwrap();
    cost.is_little(&format!("an honest node is connected in {found:?}; {sent} beacons"));
    assert!(node.metric("datagrams_total") > sent / 2);
}

#[test]
fn connections_by_the_hundred_cost_little_and_keep_nobody_out() {
    let Some(network) = Network::of(3) else { return };
    let node = Node::start(network.host(1), &[]);
    let cost = Cost::of(&node);
    let attacker = network.host(3);
    let mut held = Vec::new();
    while cost.begun.elapsed() < Duration::from_secs(4) {
        for port in [47600, 6000] {
            held.extend(attacker.within(|| TcpStream::connect(("10.77.0.1", port))));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let other = Node::start(network.host(2), &[]);
    wait_for("an honest node to be connected meanwhile", || node.is_linked(&other.id()).then_some(()));
    cost.is_little(&format!("{} connections", held.len()));
    assert!(held.len() > 300 && node.metric("refused_total") > 100);
}
