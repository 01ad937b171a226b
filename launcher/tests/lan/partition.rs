//! Every message arrives once and in order, whatever happens to the network and to both nodes.

use std::time::Duration;

use crate::network::Network;
use crate::node::{Node, until_linked};
use crate::support::wait_for;

#[test]
fn a_node_that_was_cut_off_restarted_or_moved_gets_everything_once_and_in_order() {
    let Some(network) = Network::of(2) else { return };
    let mut one = Node::start(network.host(1), &[]);
    let mut other = Node::start(network.host(2), &[]);
    until_linked(&one, &other);
    let id = other.id();
    let mut said = Vec::new();
    let say = |node: &Node, said: &mut Vec<String>| {
        for _ in 0..20 {
            said.push(format!("message {}", said.len()));
            node.say(&id, said.last().unwrap());
        }
    };
    say(&one, &mut said);
    network.plug(2, false);
    say(&one, &mut said);
    network.plug(2, true);
    other.wait_for_texts(&said);

    other.kill();
    say(&one, &mut said);
    one.kill();
    one.start_again();
    say(&one, &mut said);
    other.start_again();
    other.wait_for_texts(&said);

    // Both nodes are restarted while nothing gets through.
    network.silence(2, true);
    say(&one, &mut said);
    other.kill();
    one.kill();
    other.start_again();
    one.start_again();
    say(&one, &mut said);
    network.silence(2, false);
    other.wait_for_texts(&said);

    other.host = network.move_host(2, 77);
    say(&one, &mut said);
    other.wait_for_texts(&said);
    wait_for("nothing to wait any more", || (one.peer(&id)?["waiting"] == 0).then_some(()));
    let history = one.get(&format!("/api/v1/history?peer={id}"));
    assert!(history.as_array().unwrap().iter().all(|entry| entry["state"] == "delivered"));
}

/// A reproducible generator of random numbers (Marsaglia, "Xorshift RNGs", 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// `P2P_LONG=1` makes 200 of them, `P2P_SEED` repeats a run.
#[test]
fn random_partitions_lose_and_double_nothing() {
    let Some(network) = Network::of(2) else { return };
    let rounds = if std::env::var_os("P2P_LONG").is_some() { 200 } else { 5 };
    let seed = std::env::var("P2P_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) << 20 | 1);
    eprintln!("P2P_SEED={seed}");
    let mut dice = Dice(seed);
    let mut nodes = [1, 2].map(|n| Node::start(network.host(n), &[]));
    until_linked(&nodes[0], &nodes[1]);
    let ids = [nodes[0].id(), nodes[1].id()];
    let mut said = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        let (what, whom) = (dice.below(3), usize::try_from(dice.below(2)).unwrap());
        let host = u32::try_from(whom).unwrap() + 1;
        match what {
            0 => network.plug(host, false),
            1 => network.silence(host, true),
            _ => nodes[whom].kill(),
        }
        for from in [0, 1].into_iter().filter(|from| what < 2 || *from != whom) {
            for n in 0..2 {
                said[from].push(format!("{round}.{n}"));
                nodes[from].say(&ids[1 - from], said[from].last().unwrap());
            }
        }
        std::thread::sleep(Duration::from_millis(dice.below(600)));
        match what {
            0 => network.plug(host, true),
            1 => network.silence(host, false),
            _ => nodes[whom].start_again(),
        }
        std::thread::sleep(Duration::from_millis(dice.below(600)));
    }
    nodes[1].wait_for_texts(&said[0]);
    nodes[0].wait_for_texts(&said[1]);
}
