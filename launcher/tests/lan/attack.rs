//! Hostile hosts: what they cost, and what continues meanwhile.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::network::Network;
use crate::node::{Node, known_and_gone, until_linked};
use crate::old_peer::OldPeer;
use crate::support::{kill, wait_for};

/// The maximum memory that an attack may cost.
const GROWTH_KIB: u64 = 16 * 1024;

/// How long mDNS pauses after its first flood (`mdns::PAUSE`); later pauses are longer.
const MDNS_PAUSE: Duration = Duration::from_secs(30);

const FLOOD: &str = include_str!("flood.py");
const FLOOD_IPV6: &str = include_str!("flood_ipv6.py");
const FLOOD_MDNS: &str = include_str!("flood_mdns.py");
const BEACONS: &str = include_str!("beacons.py");
const HANDSHAKES: &str = include_str!("handshakes.py");

/// A node's resource usage from here on.
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

    /// Prints it, and checks that it is small.
    fn is_little(&self, what: &str) {
        self.is_little_with(Duration::ZERO, what);
    }

    /// The same for an attack that is followed by this `pause`, in which nothing more is used.
    fn is_little_with(&self, pause: Duration, what: &str) {
        let took = self.begun.elapsed() + pause;
        let spent = (self.node.cpu_millis() - self.cpu) as f64 / took.as_millis() as f64;
        let grown = self.node.memory_kib().saturating_sub(self.memory);
        eprintln!("{what} in {took:?}: {:.1} % of a processor, {grown} KiB more", spent * 100.0);
        // A debug build costs a few times as much as a release build.
        assert!(spent < if cfg!(debug_assertions) { 0.25 } else { 0.05 }, "{spent}");
        assert!(grown < GROWTH_KIB, "{grown} KiB");
        self.node.holds_no_worker();
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
    // By beacons alone, because these are flooded.
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

#[test]
fn forged_beacons_make_hardly_any_connections() {
    let Some(network) = Network::of(3) else { return };
    (1..=3).for_each(|n| network.only_ipv6(n));
    let node = Node::start(network.host(1), &["lan-peer.mdns=false"]);
    let begun = Instant::now();
    let flood = |rate: &str, seconds: &str| {
        network.host(3).within(|| {
            Command::new("python3").args(["-c", FLOOD_IPV6, "fd77::1", rate, seconds]).output().unwrap()
        });
    };
    // Five hundred nodes at five hundred unused addresses.
    flood("250", "2");
    node.wait_for_metric("datagrams_total", 400);
    let (dials, seconds) = (node.metric("dials_total"), begun.elapsed().as_secs());
    eprintln!("{dials} dials in {seconds} s");
    assert!(dials <= 4 + 2 * (seconds + 2), "{dials} dials in {seconds} s");
    node.holds_no_worker();
    let honest = Node::start(network.host(2), &["lan-peer.mdns=false"]);
    eprintln!("an honest node is connected in {:?}", until_linked(&node, &honest));
}

#[test]
fn one_machine_that_is_many_nodes_is_hardly_dialled() {
    let Some(network) = Network::of(3) else { return };
    let node = Node::start(network.host(1), &["lan-peer.mdns=false"]);
    let attacker = network.host(3);
    let begun = Instant::now();
    let many = attacker
        .within(|| Command::new("python3").args(["-c", BEACONS, "10.77.0.1", "500", "6"]).output().unwrap());
    let connected: u64 = String::from_utf8(many.stdout).unwrap().trim().parse().unwrap();
    let (dials, seconds) = (node.metric("dials_total"), begun.elapsed().as_secs());
    eprintln!("{dials} dials, {connected} connections in {seconds} s");
    assert!(dials <= 16 + 4 + 4 * (seconds + 2), "{dials} dials in {seconds} s");
    node.holds_no_worker();
    let honest = Node::start(network.host(2), &["lan-peer.mdns=false"]);
    eprintln!("an honest node is connected in {:?}", until_linked(&node, &honest));
}

#[test]
fn a_flood_of_handshakes_keeps_nobody_out_whom_people_know() {
    let Some(network) = Network::of(3) else { return };
    let node = Node::start(network.host(1), &["lan-peer.mdns=false"]);
    let mut known = known_and_gone(&network, &node);
    network.also_at(3, 100..340);
    let cost = Cost::of(&node);
    let mut command = Command::new("python3");
    command.args(["-c", HANDSHAKES, "10.77.0.1", "3000", "40", "47600,6000"]).stdout(Stdio::piped());
    let mut flood = network.host(3).within(|| command.spawn().unwrap());
    // All places are taken by now, and so is the queue.
    node.wait_for_metric("refused_total", 2500);
    known.start_again();
    let linked = until_linked(&node, &known);
    let begun = Instant::now();
    wait_for("a message of the old kind", || {
        let stream = network.host(2).within(|| TcpStream::connect(("10.77.0.1", 6000)));
        let said = stream.and_then(|mut stream| {
            stream.write_all(b"let me in")?;
            stream.shutdown(Shutdown::Write)?;
            stream.read(&mut [0])
        });
        (said.is_ok() && node.texts().contains(&"let me in".to_owned())).then_some(())
    });
    let heard = begun.elapsed();
    let is_still_flooded = flood.try_wait().unwrap().is_none();
    kill(flood.id(), "-KILL");
    flood.wait().unwrap();
    let refused = node.metric("refused_total") + node.metric("old_refused_total");
    let spent = node.cpu_millis().saturating_sub(cost.cpu);
    let grown = node.memory_kib().saturating_sub(cost.memory);
    eprintln!(
        "connected after {linked:?}, heard after {heard:?}; {refused} refused for {spent} ms of a processor, {grown} KiB more"
    );
    // A debug build costs a few times as much as a release build.
    assert!(
        spent < refused * if cfg!(debug_assertions) { 800 } else { 150 } / 1000,
        "{spent} ms for {refused}"
    );
    assert!(grown < GROWTH_KIB, "{grown} KiB");
    node.holds_no_worker();
    assert!(is_still_flooded && linked + heard < Duration::from_secs(8), "{linked:?} and {heard:?}");
}

#[test]
fn a_flood_of_mdns_is_paused_and_keeps_nobody_out() {
    let Some(network) = Network::of(3) else { return };
    let node = Node::start(network.host(1), &[]);
    // Nodes that nobody answers have begun by then, and their announcements were sent.
    std::thread::sleep(Duration::from_secs(3));
    let cost = Cost::of(&node);
    let mut command = Command::new("python3");
    command.args(["-c", FLOOD_MDNS, "10.77.0.3", "2000", "20"]).stdout(Stdio::piped());
    let flood = network.host(3).within(|| command.spawn().unwrap());
    node.wait_for_metric("mdns_pauses_total", 1);
    let paused = cost.begun.elapsed();
    let honest = Node::start(network.host(2), &["lan-peer.mdns=false"]);
    let found = until_linked(&node, &honest);
    let sent = String::from_utf8(flood.wait_with_output().unwrap().stdout).unwrap();
    cost.is_little(&format!(
        "mDNS is paused after {paused:?}, an honest node connected in {found:?}; {} packets",
        sent.trim()
    ));
    let dials = node.metric("dials_total");
    assert!(dials <= 4 + 2 * (cost.begun.elapsed().as_secs() + 2), "{dials} dials");
}

#[test]
fn a_slow_flood_of_mdns_does_not_fill_memory() {
    let Some(network) = Network::of(2) else { return };
    let node = Node::start(network.host(1), &[]);
    // Nodes that nobody answers have begun by then, and their announcements were sent.
    std::thread::sleep(Duration::from_secs(3));
    let cost = Cost::of(&node);
    // Two hundred nodes per second, which is little work.
    let mut command = Command::new("python3");
    command.args(["-c", FLOOD_MDNS, "10.77.0.2", "10", "20"]).stdout(Stdio::piped());
    let mut flood = network.host(2).within(|| command.spawn().unwrap());
    node.wait_for_metric("mdns_pauses_total", 1);
    kill(flood.id(), "-KILL");
    flood.wait().unwrap();
    // The cost is what fills its memory once in that time and the pause after it.
    cost.is_little_with(MDNS_PAUSE, "mDNS is paused, and its pause is over");
}
