//! Where plain text and announcements are sent: to the network on which a peer was heard, and no further.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::network::Network;
use crate::node::{Node, until_linked};
use crate::old_peer::OldPeer;
use crate::support::wait_for;

/// The maximum age of a presence.
const SILENCE: Duration = Duration::from_secs(10);

/// The states of messages with a legacy peer.
fn states(node: &Node, ip: &str) -> Vec<Value> {
    let history = node.get(&format!("/api/v1/history?peer=old:{ip}"));
    history.as_array().unwrap().iter().map(|entry| entry["state"].clone()).collect()
}

#[test]
fn nothing_is_sent_by_the_default_route_to_an_old_peer_of_another_network() {
    let Some(network) = Network::of(2) else { return };
    let node = Node::start(network.host(1), &[]);
    let mut old = OldPeer::start(&network.host(2));
    wait_for("the node to see it", || node.sees("10.77.0.2").then_some(()));
    old.send_to("10.77.0.1", "before");
    assert_eq!(node.send_to("10.77.0.2", "here").status, 200);
    assert_eq!(old.wait_for("message"), "here");
    // The machine moves to a network whose default route leads to another host with the same address.
    network.readdress(1, "10.78.0.1");
    let answer = node.send_to("10.77.0.2", "a secret");
    assert_eq!(answer.status, 502, "{}", answer.body);
    let (answer, name) = (node.send_to("10.77.0.2", "another"), "lan-peer.interfaces");
    assert!(answer.status == 502 && !answer.body.contains(name), "{}", answer.body);
    assert!(!old.says("message", Duration::from_secs(1)), "what was meant for another network arrived");
    assert_eq!(states(&node, "10.77.0.2"), ["received", "sent", "failed", "failed"]);
}

#[test]
fn nothing_is_sent_to_an_old_peer_that_is_not_heard_any_more() {
    let Some(network) = Network::of(2) else { return };
    let node = Node::start(network.host(1), &[]);
    let mut old = OldPeer::start(&network.host(2));
    wait_for("the node to see it", || node.sees("10.77.0.2").then_some(()));
    old.send_to("10.77.0.1", "before");
    old.stop(true);
    wait_for("it to be gone", || (!node.sees("10.77.0.2")).then_some(()));
    let answer = node.send_to("10.77.0.2", "whose address is it now?");
    assert!(answer.status == 502 && answer.body.contains("not heard"), "{} {}", answer.status, answer.body);
    old.stop(false);
    assert!(!old.says("message", Duration::from_secs(1)));
    wait_for("it to be back", || node.sees("10.77.0.2").then_some(()));
    assert_eq!(node.send_to("10.77.0.2", "welcome back").status, 200);
    assert_eq!(old.wait_for("message"), "welcome back");
}

#[test]
fn an_old_peer_whose_announcements_do_not_reach_us_can_be_answered() {
    let Some(network) = Network::of(2) else { return };
    let node = Node::start(network.host(1), &[]);
    // Without a default route its announcer fails at the first try; the rest continues.
    network.unroute(2);
    let mut old = OldPeer::start(&network.host(2));
    old.send_to("10.77.0.1", "can you hear me?");
    wait_for("the message", || (node.texts() == ["can you hear me?"]).then_some(()));
    let begun = Instant::now();
    while begun.elapsed() < SILENCE + Duration::from_secs(3) {
        assert!(node.sees("10.77.0.2"), "gone after {:?}", begun.elapsed());
        std::thread::sleep(Duration::from_millis(250));
    }
    assert_eq!(node.send_to("10.77.0.2", "yes").status, 200);
    assert_eq!(old.wait_for("message"), "yes");
}

#[test]
fn an_interface_that_is_left_out_hears_nothing_of_us() {
    for (interface, settings, is_used) in [
        ("e1", r#"lan-peer.interfaces=["!e1"]"#, false),
        ("e1", r#"lan-peer.interfaces=["e0"]"#, false),
        ("tun0", "lan-peer.interfaces=[]", false),
        ("tun0", r#"lan-peer.interfaces=["e0", "tun*"]"#, true),
    ] {
        let (Some(here), Some(there)) = (Network::of(2), Network::with_subnet(78, 1)) else { return };
        here.also_wire_as(interface, 1, &there);
        let both = Node::start(here.host(1), &[settings]);
        let (one, other) = (Node::start(here.host(2), &[]), Node::start(there.host(1), &[]));
        until_linked(&both, &one);
        if is_used {
            until_linked(&both, &other);
            continue;
        }
        // Both have announced themselves on all their networks several times by then.
        both.wait_for_metric("datagrams_own_total", 6);
        other.wait_for_metric("datagrams_own_total", 6);
        assert_eq!(other.metric("datagrams_others_total") + other.metric("mdns_total"), 0, "{settings}");
        assert!(other.peer(&both.id()).is_none() && both.peer(&other.id()).is_none(), "{settings}");
        let said = both.lan(&["doctor"]).1;
        assert!(said.contains(&format!("not used: {interface} (lan-peer.interfaces chooses)")), "{said}");
    }
}

#[test]
fn what_was_a_nodes_address_gets_no_plain_text_until_people_say_so() {
    let Some(network) = Network::of(2) else { return };
    let one = Node::start(network.host(1), &[]);
    let mut other = Node::start(network.host(2), &[]);
    until_linked(&one, &other);
    let id = other.id();
    other.kill();
    wait_for("the node to be gone", || (!one.is_linked(&id)).then_some(()));
    // Another host answers at its address like a legacy peer.
    let old = OldPeer::start(&network.host(2));
    wait_for("the old program to be seen", || one.peer("old:10.77.0.2").map(drop));
    let answer = one.send_to("10.77.0.2", "by address");
    assert_eq!((answer.status, answer.body.as_str()), (202, r#"{"status":"queued"}"#));
    let plain = |unencrypted: bool| {
        let mut request = json!({"peer": "old:10.77.0.2", "text": "plain"});
        if unencrypted {
            request["unencrypted"] = json!(true);
        }
        one.post("/api/v1/send", &request)
    };
    let refused = plain(false);
    assert!(refused.status == 409 && refused.body.contains("unencrypted"), "{}", refused.body);
    assert_eq!(plain(true).status, 200);
    assert_eq!(old.wait_for("message"), "plain", "and nothing before it");
    drop(old);
    other.start_again();
    other.wait_for_texts(&["by address".to_owned()]);
}
