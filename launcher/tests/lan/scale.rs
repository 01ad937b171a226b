//! Many nodes at once: `P2P_LONG=1` makes 50, otherwise there are 10. And what they send when nobody says anything.

use std::time::{Duration, Instant};

use crate::network::Network;
use crate::node::Node;
use crate::support::wait_for;

#[test]
fn many_nodes_all_find_each_other_and_are_quiet_when_nobody_talks() {
    let count = if std::env::var_os("P2P_LONG").is_some() { 50 } else { 10 };
    let Some(network) = Network::of(count) else { return };
    let start = |n| Node::start(network.host(n), &[&format!("lan-peer.name=node {n}")]);
    let nodes: Vec<Node> = (1..=count).map(start).collect();
    let begun = Instant::now();
    let online = |node: &Node| node.metric("online");
    wait_for("all to see all", || {
        nodes.iter().all(|node| online(node) >= u64::from(count) - 1).then_some(())
    });
    eprintln!("{count} nodes, all connected with all {:?} after the last one served", begun.elapsed());
    let ids: Vec<String> = nodes.iter().map(Node::id).collect();
    for (node, next) in nodes.iter().zip(ids.iter().cycle().skip(1)) {
        wait_for("the next one", || node.is_linked(next).then_some(()));
        node.say(next, "hello");
    }
    wait_for("everybody to be greeted", || nodes.iter().all(|node| node.texts() == ["hello"]).then_some(()));

    let before = network.sent(1);
    let (cpu, memory, pause) = (nodes[0].cpu_millis(), nodes[0].memory_kib(), Duration::from_secs(10));
    std::thread::sleep(pause);
    let after = network.sent(1);
    let (packets, bytes) = ((after.0 - before.0) as f64 / 10.0, (after.1 - before.1) as f64 / 10.0);
    let spent = (nodes[0].cpu_millis() - cpu) as f64 / pause.as_millis() as f64 * 100.0;
    eprintln!(
        "idle among {count}: {packets:.1} packets and {bytes:.0} bytes a second sent, {spent:.2} % of a processor, {memory} KiB"
    );
    // Presence, and two pings or answers with their acknowledgements for each peer in ten seconds.
    assert!(packets < 3.0 + 0.8 * f64::from(count), "{packets}");
}
