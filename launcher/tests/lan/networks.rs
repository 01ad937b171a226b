//! Networks of other shapes than one cable with a router.

use std::time::Duration;

use crate::network::Network;
use crate::node::{Node, best_of_three, until_linked};
use crate::old_peer::OldPeer;
use crate::support::wait_for;

/// Both send something, and both receive it.
fn talk(one: &Node, other: &Node) {
    one.say(&other.id(), "there");
    other.say(&one.id(), "and back");
    other.wait_for_texts(&["there".to_owned()]);
    one.wait_for_texts(&["and back".to_owned()]);
}

#[test]
fn without_a_default_route_everybody_is_found_all_the_same() {
    let Some(network) = Network::of(3) else { return };
    network.unroute(1);
    network.unroute(2);
    let (one, other) = (Node::start(network.host(1), &[]), Node::start(network.host(2), &[]));
    let mut old = OldPeer::start(&network.host(3));
    until_linked(&one, &other);
    talk(&one, &other);
    wait_for("the old program to be seen", || one.sees("10.77.0.3").then_some(()));
    assert_eq!(one.send_to("10.77.0.3", "to the old").status, 200);
    assert_eq!(old.wait_for("message"), "to the old");
    old.send_to("10.77.0.2", "to the new");
    wait_for("the message", || other.texts().contains(&"to the new".to_owned()).then_some(()));
}

#[test]
fn where_there_is_only_ipv6_nodes_find_each_other_within_a_second() {
    let Some(network) = Network::of(4) else { return };
    (1..=2).for_each(|n| network.only_ipv6(n));
    (3..=4).for_each(|n| network.only_link_local(n));
    for (hosts, settings) in [([1, 2], &[][..]), ([3, 4], &["lan-peer.mdns=false"])] {
        let one = Node::start(network.host(hosts[0]), settings);
        let mut other = Node::start(network.host(hosts[1]), settings);
        let found = best_of_three(&one, &mut other);
        eprintln!("on IPv6 alone, {settings:?}, in {found:?}");
        assert!(found < Duration::from_secs(1), "{found:?}");
        talk(&one, &other);
        let (code, said) = one.lan(&["doctor"]);
        assert!(code == Some(0) && said.contains("our own announcements come back"), "{said}");
    }
}

#[test]
fn a_machine_on_two_networks_talks_on_both_and_joins_them_not() {
    let (Some(here), Some(there)) = (Network::of(2), Network::with_subnet(78, 2)) else { return };
    let address = here.also_wire(1, &there);
    let both = Node::start(here.host(1), &[]);
    let one = Node::start(here.host(2), &[]);
    let other = Node::start(there.host(1), &[]);
    let mut old = OldPeer::start(&there.host(2));
    until_linked(&both, &one);
    until_linked(&both, &other);
    talk(&one, &both);
    other.say(&both.id(), "from the second");
    both.wait_for_texts(&["there".to_owned(), "from the second".to_owned()]);
    while old.wait_for("peer") != *address {}
    old.send_to(&address, "from the old");
    wait_for("the message", || both.texts().contains(&"from the old".to_owned()).then_some(()));
    assert!(one.peer(&other.id()).is_none());
}
