//! Diagnoses why no peers are found: what was checked, the observation, and advice. Computed from plain facts.

use protocol::lan::view::{Check, Finding};

/// The observations that the checks use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Our networks, as `e0 10.0.0.7`.
    pub(crate) networks: Vec<String>,
    /// Names of interfaces that are up but not used.
    pub(crate) left_out: Vec<String>,
    /// Whether one of them is IPv4, which is needed for broadcasts.
    pub(crate) can_broadcast: bool,
    /// Whether this is inside a container.
    pub(crate) is_container: bool,
    /// The ports of presence, the legacy protocol, and the secure protocol (actual and configured).
    pub(crate) udp_port: u16,
    pub(crate) tcp_port: u16,
    pub(crate) port: u16,
    pub(crate) wanted_port: u16,
    /// Why presence or legacy messages cannot be received.
    pub(crate) presence_error: Option<String>,
    pub(crate) receiver_error: Option<String>,
    /// Why a message could not be stored.
    pub(crate) store_error: Option<String>,
    /// The number of nodes' answers over mDNS; `None` if it is disabled.
    pub(crate) mdns: Option<u64>,
    /// Our datagrams that could not be sent, that came back by IPv4 and by IPv6, and datagrams of others.
    pub(crate) unsent: u64,
    pub(crate) own: u64,
    pub(crate) own_ipv6: u64,
    pub(crate) others: u64,
    /// Datagrams from addresses on none of our networks.
    pub(crate) strange: u64,
    /// Online peers; dials to nodes, and dials answered by a different node.
    pub(crate) online: usize,
    pub(crate) dials: u64,
    pub(crate) wrong_keys: u64,
}

impl Facts {
    /// Our announcements that came back, by the better protocol.
    fn echoes(&self) -> u64 {
        if self.can_broadcast { self.own } else { self.own_ipv6 }
    }
}

/// All checks, in the order in which things have to work.
pub(crate) fn examine(facts: &Facts) -> Vec<Check> {
    let checks =
        [networks, hearing, old_messages, secure_port, storing, sending, echo, hearsay, connecting, mdns];
    checks.into_iter().flat_map(|check| check(facts)).collect()
}

fn good(what: String) -> Check {
    Check { finding: Finding::Good, what, advice: None }
}

fn note(what: String, advice: &str) -> Check {
    Check { finding: Finding::Note, what, advice: Some(advice.to_owned()) }
}

fn bad(what: String, advice: String) -> Check {
    Check { finding: Finding::Bad, what, advice: Some(advice) }
}

fn networks(facts: &Facts) -> Vec<Check> {
    let left_out = if facts.left_out.is_empty() {
        String::new()
    } else {
        format!("; not used: {} (lan-peer.interfaces chooses)", facts.left_out.join(", "))
    };
    let found = if facts.networks.is_empty() {
        let advice =
            "connect a cable or a Wi-Fi; 'ip addr' should show an interface that is up and has an address";
        bad(format!("this machine is on no network{left_out}"), advice.to_owned())
    } else {
        good(format!("on these networks: {}{left_out}", facts.networks.join(", ")))
    };
    let advice = "a container's own network keeps announcements inside: run it with the host's network (docker run \
        --network host), or name the others in lan-peer.peers";
    let container = facts.is_container.then(|| note("this is inside a container".to_owned(), advice));
    [found].into_iter().chain(container).collect()
}

fn hearing(facts: &Facts) -> Vec<Check> {
    let port = facts.udp_port;
    vec![match &facts.presence_error {
        None => good(format!("listening for presence on UDP port {port}")),
        Some(error) => bad(
            format!("UDP port {port} cannot be opened: {error}"),
            format!(
                "see who has it with 'ss -ulnp sport = :{port}', and end it; it is tried again every 5 s"
            ),
        ),
    }]
}

fn old_messages(facts: &Facts) -> Vec<Check> {
    let port = facts.tcp_port;
    vec![match &facts.receiver_error {
        None => good(format!("accepting unencrypted messages on TCP port {port}")),
        Some(error) => note(
            format!("cannot accept unencrypted messages: {error}"),
            "end the program that has the port (X11 servers use 6000, too); our own nodes do not need it",
        ),
    }]
}

fn secure_port(facts: &Facts) -> Vec<Check> {
    let (port, wanted) = (facts.port, facts.wanted_port);
    vec![if port == wanted {
        good(format!("our own nodes connect on TCP port {port}"))
    } else {
        note(
            format!("TCP port {wanted} was taken; our own nodes connect on {port} instead"),
            "a firewall that was opened for the usual port does not let them in",
        )
    }]
}

fn storing(facts: &Facts) -> Vec<Check> {
    let advice =
        "look at the disk; conversations with people you know take the room, and go by the thousand messages";
    let failed = facts
        .store_error
        .as_ref()
        .map(|why| bad(format!("messages were not stored: {why}"), advice.to_owned()));
    failed.into_iter().collect()
}

fn sending(facts: &Facts) -> Vec<Check> {
    let advice = "a brief network outage causes this; if the number grows, check the routes and the firewall's outgoing rules";
    let found =
        (facts.unsent > 0).then(|| note(format!("{} announcements could not be sent", facts.unsent), advice));
    found.into_iter().collect()
}

/// The kernel loops broadcasts back to the sender, unless a firewall rule for incoming datagrams drops them.
fn echo(facts: &Facts) -> Vec<Check> {
    if facts.networks.is_empty() || facts.presence_error.is_some() {
        return Vec::new();
    }
    let advice = "encrypted nodes still find each other; unencrypted peers need IPv4";
    let is_ipv6 = (!facts.can_broadcast).then(|| note("there is only IPv6 here".to_owned(), advice));
    let echoes = facts.echoes();
    let comes_back = if echoes > 0 {
        good(format!("our own announcements come back ({echoes}): no firewall of this machine drops them"))
    } else {
        bad(
            "not even our own announcements come back: a firewall of this machine drops them".to_owned(),
            format!(
                "let them in, as root: 'ufw allow {udp}/udp; ufw allow 5353/udp; ufw allow {tcp}/tcp; ufw allow {port}/tcp', or \
                 'firewall-cmd --add-port={udp}/udp --add-port=5353/udp --add-port={tcp}/tcp --add-port={port}/tcp'",
                udp = facts.udp_port,
                tcp = facts.tcp_port,
                port = facts.port
            ),
        )
    };
    is_ipv6.into_iter().chain([comes_back]).collect()
}

fn hearsay(facts: &Facts) -> Vec<Check> {
    let is_explained = facts.networks.is_empty() || facts.presence_error.is_some() || facts.echoes() == 0;
    let heard = if facts.others > 0 {
        good(format!("{} announcements of others were heard; {} are here now", facts.others, facts.online))
    } else if facts.online > 0 {
        good(format!("no announcement was heard, but {} are here", facts.online))
    } else if is_explained {
        note("nobody else was heard".to_owned(), "no wonder: put right what is bad above, and look again")
    } else {
        let advice = "is lan-peer running on another machine, and does its doctor find nothing bad? If so, the network keeps \
            announcements apart, as guest Wi-Fis ('client isolation') and VLANs do: use another network, or name the other \
            machine: --set 'lan-peer.peers=[\"10.0.0.7\"]'";
        bad("nobody else was heard".to_owned(), advice.to_owned())
    };
    let advice =
        "another network shares the link, or a network mask is wrong; list such machines in lan-peer.peers";
    let strange = (facts.strange > 0).then(|| {
        note(format!("{} datagrams came from addresses on none of our networks", facts.strange), advice)
    });
    [heard].into_iter().chain(strange).collect()
}

fn connecting(facts: &Facts) -> Vec<Check> {
    let advice = "another node answered at the address of an expected one; if this repeats, the connection may be intercepted";
    let wrong = (facts.wrong_keys > 0)
        .then(|| note(format!("{} answers with another key", facts.wrong_keys), advice));
    let in_vain = (facts.dials > 0 && facts.online == 0).then(|| {
        let advice =
            "a firewall blocks TCP; 'launcher lan doctor' on the other machine shows which port to open";
        bad(
            format!("{} dials to nodes that announced themselves, and none is connected", facts.dials),
            advice.to_owned(),
        )
    });
    in_vain.into_iter().chain(wrong).collect()
}

fn mdns(facts: &Facts) -> Vec<Check> {
    vec![match facts.mdns {
        None => note(
            "mDNS is switched off".to_owned(),
            "lan-peer.mdns = true finds peers where broadcasts are blocked",
        ),
        Some(0) => note(
            "mDNS has not named any node".to_owned(),
            "nothing is wrong with that while others are heard; a firewall may drop UDP port 5353",
        ),
        Some(answers) => good(format!("mDNS has named nodes ({answers} answers)")),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine() -> Facts {
        let networks = vec!["e0 10.0.0.7".to_owned()];
        let ports =
            Facts { udp_port: 5000, tcp_port: 6000, port: 47600, wanted_port: 47600, ..Facts::default() };
        Facts {
            networks,
            can_broadcast: true,
            mdns: Some(2),
            own: 9,
            others: 9,
            online: 1,
            dials: 1,
            ..ports
        }
    }

    fn worst(facts: &Facts) -> Vec<String> {
        let bad = examine(facts).into_iter().filter(|check| check.finding == Finding::Bad);
        bad.map(|check| check.what).collect()
    }

    #[test]
    fn when_somebody_is_there_nothing_is_bad() {
        assert!(examine(&fine()).iter().all(|check| check.finding == Finding::Good));
    }

    #[test]
    fn interfaces_that_are_not_used_are_named() {
        let facts = Facts { left_out: vec!["wg0".to_owned(), "tun0".to_owned()], ..fine() };
        assert!(examine(&facts)[0].what.ends_with("not used: wg0, tun0 (lan-peer.interfaces chooses)"));
    }

    #[test]
    fn each_reason_why_nobody_is_found_is_named_with_what_to_try() {
        let alone = Facts { others: 0, online: 0, dials: 0, mdns: Some(0), ..fine() };
        for (facts, said) in [
            (Facts { networks: Vec::new(), own: 0, ..alone.clone() }, "on no network"),
            (
                Facts { presence_error: Some("taken".into()), own: 0, ..alone.clone() },
                "UDP port 5000 cannot be opened: taken",
            ),
            (Facts { own: 0, ..alone.clone() }, "a firewall of this machine"),
            (Facts { own: 0, own_ipv6: 3, can_broadcast: false, ..alone.clone() }, "nobody else was heard"),
            (Facts { own: 0, can_broadcast: false, ..alone.clone() }, "a firewall of this machine"),
            (alone.clone(), "nobody else was heard"),
            (Facts { others: 5, dials: 7, ..alone.clone() }, "7 dials"),
        ] {
            assert!(worst(&facts).iter().any(|what| what.contains(said)), "{said}: {:?}", worst(&facts));
            assert!(examine(&facts).iter().all(|c| (c.finding == Finding::Good) == c.advice.is_none()));
            assert_eq!(worst(&facts).len(), 1, "one reason at a time: {:?}", worst(&facts));
        }
    }
}
