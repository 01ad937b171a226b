//! Two of our own nodes, and an attacker in between.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::network::Network;
use crate::node::{Node, best_of_three, page, until_linked};
use crate::support::{PATIENCE, wait_for};

/// The events of a node's page, with their times.
fn events(node: &Node) -> Receiver<(Value, Instant)> {
    let mut stream = node.host.within(|| TcpStream::connect(page()).unwrap());
    stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let (sender, events) = channel();
    let mut lines = BufReader::new(stream).lines();
    // The response head arrives once the node follows.
    assert!(lines.next().unwrap().unwrap().contains("200"));
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some(data) = line.strip_prefix("data: ") {
                let _ = sender.send((serde_json::from_str(data).unwrap(), Instant::now()));
            }
        }
    });
    events
}

#[test]
fn two_nodes_find_each_other_within_a_second_and_deliver_fast() {
    let Some(network) = Network::of(2) else { return };
    let one = Node::start(network.host(1), &["lan-peer.name=anna"]);
    let mut other = Node::start(network.host(2), &["lan-peer.name=bert"]);
    let found = best_of_three(&one, &mut other);
    eprintln!("found each other in {found:?}");
    assert!(found < Duration::from_secs(1), "{found:?}");
    let seen = one.peer(&other.id()).unwrap();
    assert_eq!((&seen["name"], &seen["trust"]), (&json!("bert"), &json!("new")));
    assert!(one.peer("old:10.77.0.2").is_none(), "it is shown once, as what it proved to be");

    let (events, id) = (events(&other), other.id());
    let mut took = Vec::new();
    for n in 0..200 {
        let begun = Instant::now();
        one.say(&id, &format!("message {n}"));
        loop {
            let (event, at) = events.recv_timeout(PATIENCE).unwrap();
            if event["entry"]["body"] == format!("message {n}") {
                took.push(at.duration_since(begun));
                break;
            }
        }
    }
    took.sort();
    let (median, p99) = (took[100], took[198]);
    eprintln!("delivered in {median:?} (median), {p99:?} (p99), both disks included");
    assert!(p99 < Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 50 }), "{p99:?}");
    wait_for("all to be acknowledged", || (one.metric("delivered_total") == 200).then_some(()));
    let answer = one.send_to("10.77.0.2", "by address");
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"sent"}"#));
    wait_for("it to come encrypted", || {
        let history = other.get(&format!("/api/v1/history?peer={}", one.id()));
        (history.as_array().unwrap().last()?["body"] == "by address").then_some(())
    });
}

#[test]
fn nodes_find_each_other_by_mdns_and_by_hand_alone() {
    let Some(network) = Network::of(3) else { return };
    let one = Node::start(network.host(1), &["lan-peer.udp-port=5001"]);
    let other = Node::start(network.host(2), &["lan-peer.udp-port=5002"]);
    eprintln!("by mDNS alone in {:?}", until_linked(&one, &other));
    let by_hand = r#"lan-peer.peers=["10.77.0.1"]"#;
    let third = Node::start(network.host(3), &["lan-peer.udp-port=5003", "lan-peer.mdns=false", by_hand]);
    eprintln!("by hand alone in {:?}", until_linked(&one, &third));
}

#[test]
fn fingerprints_prove_and_another_key_is_refused() {
    let Some(network) = Network::of(3) else { return };
    let one = Node::start(network.host(1), &["lan-peer.name=anna"]);
    let other = Node::start(network.host(2), &["lan-peer.name=bert"]);
    until_linked(&one, &other);
    let id = other.id();
    let me = other.get("/api/v1/overview")["me"].clone();
    let trust = |verdict: &str, proof: Value| {
        one.post("/api/v1/trust", &json!({"peer": id, "verdict": verdict, "proof": proof})).status
    };
    assert_eq!(trust("verified", json!("00000 11111 22222 33333 44444 55555 66666 77777")), 409);
    assert_eq!(trust("verified", json!(one.id())), 409);
    assert_eq!(trust("verified", me["fingerprint"].clone()), 204);
    assert_eq!(trust("verified", me["link"].clone()), 204);
    assert_eq!(one.peer(&id).unwrap()["trust"], "verified");

    // An attacker takes the name, and the address at which the first node was expected.
    let expected = format!(r#"lan-peer.peers=["{}@10.77.0.1"]"#, id);
    let twin = Node::start(network.host(3), &["lan-peer.name=BERT", &expected]);
    let twin_id = twin.id();
    wait_for("the twin to be suspect", || (one.peer(&twin_id)?["trust"] == "changed").then_some(()));
    assert_eq!(one.metric("changed_names_total"), 1);
    let answer = one.post("/api/v1/send", &json!({"peer": twin_id, "text": "secret"}));
    assert_eq!(answer.status, 409, "{}", answer.body);
    twin.wait_for_metric("wrong_keys_total", 1);
    assert_eq!(one.post("/api/v1/trust", &json!({"peer": twin_id, "verdict": "blocked"})).status, 204);
    wait_for("the blocked one to be cut off", || (!one.is_linked(&twin_id)).then_some(()));
    twin.say(&one.id(), "let me in");
    one.say(&id, "still fine");
    wait_for("the message", || (other.texts() == ["still fine"]).then_some(()));
    assert!(one.texts().is_empty());
}

#[test]
fn what_is_no_handshake_is_cut_off_and_counted() {
    let Some(network) = Network::of(2) else { return };
    let node = Node::start(network.host(1), &[]);
    let host = network.host(2);
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\xff\xff", b"HEY THERE..", b""] {
        let mut stream = host.within(|| TcpStream::connect(("10.77.0.1", 47600)).unwrap());
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = std::io::Read::read(&mut stream, &mut [0; 64]);
    }
    node.wait_for_metric("broken_total", 4);
    let mut silent = host.within(|| TcpStream::connect(("10.77.0.1", 47600)).unwrap());
    silent.write_all(b"\x16\x03\x01").unwrap();
    node.wait_for_metric("faulty_total", 1);
    assert_eq!(std::io::Read::read(&mut silent, &mut [0; 64]).unwrap_or(0), 0);
}
