//! Hosts that mean harm: what they cost, and what goes on meanwhile.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::network::Network;
use crate::node::{Node, until_linked};
use crate::old_peer::OldPeer;
use crate::support::wait_for;

const FLOOD: &str = include_str!("flood.py");
const FLOOD_IPV6: &str = include_str!("flood_ipv6.py");

#[test]
fn forged_presence_costs_little_and_known_peers_stay() {
    let Some(network) = Network::of(3) else { return };
    let node = Node::start(network.host(1), &[]);
    let mut old = OldPeer::start(&network.host(2));
    old.send_to("10.77.0.1", "before");
    wait_for("the message", || (node.texts() == ["before"]).then_some(()));
    let (cpu, memory, begun) = (node.cpu_millis(), node.memory_kib(), Instant::now());
    let flood = network
        .host(3)
        .within(|| Command::new("python3").args(["-c", FLOOD, "10.77.0.1", "10000", "6"]).output().unwrap());
    let sent: u64 = String::from_utf8(flood.stdout).unwrap().trim().parse().unwrap();
    let spent = (node.cpu_millis() - cpu) as f64 / begun.elapsed().as_millis() as f64;
    let grown = node.memory_kib().saturating_sub(memory);
    eprintln!(
        "{sent} datagrams in {:?}: {:.1} % of a processor, {grown} KiB more",
        begun.elapsed(),
        spent * 100.0
    );
    assert!(node.metric("datagrams_total") > sent / 2);
    assert!(node.metric("peers_refused_total") > 0);
    // Built for tests it costs a few times what it costs as it is shipped.
    assert!(spent < if cfg!(debug_assertions) { 0.25 } else { 0.05 }, "{spent}");
    assert!(grown < 16 * 1024, "{grown} KiB");
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
    let (cpu, memory, begun) = (node.cpu_millis(), node.memory_kib(), Instant::now());
    let mut command = Command::new("python3");
    command.args(["-c", FLOOD_IPV6, "fd77::1", "10000", "6"]).stdout(Stdio::piped());
    let flood = network.host(3).within(|| command.spawn().unwrap());
    node.wait_for_metric("datagrams_total", 10_000);
    let honest = Node::start(network.host(2), &settings);
    let found = until_linked(&node, &honest);
    let sent: u64 =
        String::from_utf8(flood.wait_with_output().unwrap().stdout).unwrap().trim().parse().unwrap();
    let spent = (node.cpu_millis() - cpu) as f64 / begun.elapsed().as_millis() as f64;
    let grown = node.memory_kib().saturating_sub(memory);
    eprintln!(
        "{sent} beacons in {:?}: {:.1} % of a processor, {grown} KiB more; an honest node is connected in {found:?}",
        begun.elapsed(),
        spent * 100.0
    );
    assert!(node.metric("datagrams_total") > sent / 2);
    assert!(spent < if cfg!(debug_assertions) { 0.25 } else { 0.05 }, "{spent}");
    assert!(grown < 16 * 1024, "{grown} KiB");
}

#[test]
fn connections_by_the_hundred_cost_little_and_keep_nobody_out() {
    let Some(network) = Network::of(3) else { return };
    let node = Node::start(network.host(1), &[]);
    let (cpu, memory, begun) = (node.cpu_millis(), node.memory_kib(), Instant::now());
    let attacker = network.host(3);
    let mut held = Vec::new();
    while begun.elapsed() < Duration::from_secs(4) {
        for port in [47600, 6000] {
            held.extend(attacker.within(|| TcpStream::connect(("10.77.0.1", port))));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let other = Node::start(network.host(2), &[]);
    wait_for("an honest node to be connected meanwhile", || node.is_linked(&other.id()).then_some(()));
    let spent = (node.cpu_millis() - cpu) as f64 / begun.elapsed().as_millis() as f64;
    let grown = node.memory_kib().saturating_sub(memory);
    eprintln!("{} connections: {:.1} % of a processor, {grown} KiB more", held.len(), spent * 100.0);
    assert!(held.len() > 300 && node.metric("refused_total") > 100);
    assert!(spent < if cfg!(debug_assertions) { 0.25 } else { 0.05 }, "{spent}");
    assert!(grown < 16 * 1024, "{grown} KiB");
}
