//! `launcher lan`, as somebody at a terminal uses it.

use std::io::{BufRead, BufReader};

use crate::network::Network;
use crate::node::Node;
use crate::support::{kill, wait_for};

#[track_caller]
fn assert_says((code, said): (Option<i32>, String), ended: i32, parts: &[&str]) {
    assert_eq!(code, Some(ended), "{said}");
    for part in parts {
        assert!(said.contains(part), "no '{part}' in\n{said}");
    }
}

#[test]
fn the_terminal_lists_sends_watches_and_verifies() {
    let Some(network) = Network::of(2) else { return };
    let one = Node::start(network.host(1), &["lan-peer.name=anna"]);
    let other = Node::start(network.host(2), &["lan-peer.name=bert"]);
    let (one_id, id) = (one.id(), other.id());
    wait_for("the nodes to be connected", || (one.is_linked(&id) && other.is_linked(&one_id)).then_some(()));
    let shown = [0, 4, 8, 12, 16].map(|at| &id[at..at + 4]).join("-");
    assert_says(
        one.lan(&["peers"]),
        0,
        &["bert", "online", "encrypted, not verified", "10.77.0.2:47600", &shown],
    );
    let mut watching = other.watch();
    assert_says(one.lan(&["send", "bert", "hello", "there"]), 0, &["on its way, encrypted"]);
    let mut line = String::new();
    BufReader::new(watching.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.ends_with(" anna: hello there\n"), "{line}");
    kill(watching.id(), "-TERM");
    assert!(watching.wait().unwrap().success());
    assert_says(one.lan(&["send", "carl", "hi"]), 1, &["no peer matches 'carl'"]);

    let (_, own) = other.lan(&["verify"]);
    let digits = own.lines().rev().nth(1).unwrap().to_owned();
    assert_says(one.lan(&["verify", "bert"]), 0, &[&digits, "launcher lan verify"]);
    assert_says(
        one.lan(&["verify", "bert", &digits.replace('0', "1").replace('2', "3")]),
        1,
        &["in between"],
    );
    assert_says(one.lan(&["verify", "bert", &digits]), 0, &["verified: bert"]);
    assert_says(one.lan(&["peers"]), 0, &["encrypted, verified"]);
    assert_says(
        one.lan(&["doctor"]),
        0,
        &["on these networks: e0 10.77.0.1", "our own announcements come back", "good"],
    );
}

#[test]
fn when_nobody_is_found_the_doctor_says_why() {
    let Some(network) = Network::of(1) else { return };
    let mut one = Node::start(network.host(1), &[]);
    one.wait_for_metric("datagrams_own_total", 1);
    assert_says(
        one.lan(&["doctor"]),
        1,
        &["BAD   nobody else was heard", "our own announcements come back", "lan-peer.peers"],
    );
    network.plug(1, false);
    network.unaddress(1);
    wait_for("the doctor to miss the network", || {
        one.lan(&["doctor"]).1.contains("on no network").then_some(())
    });
    assert_says(one.lan(&["peers"]), 0, &["no peers found; 'launcher lan doctor' shows why"]);
    one.kill();
    assert_says(one.lan(&["peers"]), 69, &["start it with 'launcher --lan'"]);
}
