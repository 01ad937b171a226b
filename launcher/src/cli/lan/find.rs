//! Finds the peer that a typed text refers to.

use kit::{Exit, Failure};
use protocol::lan::view::Peer;
use transport::LanClient;

use super::failed::failed;
use crate::cli::output;

/// The minimum number of digits that identify a key.
const PREFIX: usize = 6;

/// The only peer that matches `whom`.
pub(super) async fn find(client: &LanClient, whom: &str) -> Result<Peer, Failure> {
    let peers = client.overview().await.map_err(failed)?.peers;
    match <[&Peer; 1]>::try_from(matching(&peers, whom)) {
        Ok([peer]) => Ok(peer.clone()),
        Err(found) if found.is_empty() => {
            let what = format!("no peer matches '{whom}'; list them with 'launcher lan peers'");
            Err(Failure::new(Exit::Failure, what))
        }
        Err(found) => {
            let names: Vec<String> = found
                .iter()
                .map(|peer| format!("'{}' ({})", output::sanitise(&peer.name), peer.key))
                .collect();
            let what = format!("'{whom}' is ambiguous: {}; use the whole key", names.join(", "));
            Err(Failure::new(Exit::Failure, what))
        }
    }
}

/// The peers that match. A complete key matches only its owner. Otherwise a displayed name, the beginning of a key, and an address are
/// equivalent: peers choose their names, and short beginnings of keys can be generated on purpose, so none of them takes precedence. Only
/// if nothing matches, the name that a peer announces without it being displayed counts.
fn matching<'p>(peers: &'p [Peer], whom: &str) -> Vec<&'p Peer> {
    let all = |is_meant: &dyn Fn(&Peer) -> bool| -> Vec<&'p Peer> {
        peers.iter().filter(|peer| is_meant(peer)).collect()
    };
    let owner = all(&|peer| peer.key.to_string() == whom);
    if !owner.is_empty() {
        return owner;
    }
    let is_at =
        |address: &String| address == whom || address.rsplit_once(':').is_some_and(|(host, _)| host == whom);
    // Accepts the displayed form: 0123-4567-89ab.
    let key = whom.replace('-', "").to_ascii_lowercase();
    let found = all(&|peer| {
        peer.name.eq_ignore_ascii_case(whom)
            || (key.len() >= PREFIX && peer.key.to_string().starts_with(&key))
            || peer.addresses.iter().any(is_at)
    });
    if !found.is_empty() {
        return found;
    }
    all(&|peer| peer.claimed.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(whom)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::lan::view::Trust;
    use protocol::lan::{NodeId, PeerKey};

    fn peer(key: PeerKey, name: &str, address: &str) -> Peer {
        Peer {
            key,
            name: name.to_owned(),
            claimed: Some(format!("{name} himself")),
            online: true,
            trust: Trust::New,
            fingerprint: None,
            addresses: vec![address.to_owned()],
            last_seen: None,
            waiting: 0,
        }
    }

    fn node(byte: u8, name: &str, address: &str) -> Peer {
        peer(PeerKey::Node(NodeId::from_bytes([byte; 32])), name, address)
    }

    fn names(peers: &[Peer], whom: &str) -> Vec<String> {
        matching(peers, whom).into_iter().map(|peer| peer.name.clone()).collect()
    }

    #[test]
    fn a_peer_is_meant_by_name_key_address_or_what_it_calls_itself() {
        let peers = [node(2, "bob", "10.0.0.7:47600"), node(3, "carol", "10.0.0.8:47600")];
        for whom in
            ["BOB", "020202", "0202-0202-02", &"02".repeat(32), "10.0.0.7", "10.0.0.7:47600", "bob himself"]
        {
            assert_eq!(names(&peers, whom), ["bob"], "{whom}");
        }
        assert!(names(&peers, "0202").is_empty() && names(&peers, "dave").is_empty());
    }

    #[test]
    fn nobody_gets_what_is_meant_for_another_by_a_name_like_a_key_or_an_address() {
        let old = PeerKey::Legacy("10.0.0.9".parse().unwrap());
        let whole = "02".repeat(32);
        for (whom, winner) in [
            ("020202", None),
            ("10.0.0.7", None),
            ("10.0.0.7:47600", None),
            (&whole, Some("bob")),
            ("old:10.0.0.9", Some("erin")),
        ] {
            let peers = [
                node(9, whom, "10.0.0.6:1"),
                node(2, "bob", "10.0.0.7:47600"),
                peer(old, "erin", "10.0.0.9"),
            ];
            let found = names(&peers, whom);
            match winner {
                Some(name) => assert_eq!(found, [name], "{whom}"),
                None => assert_eq!(found, [whom, "bob"], "{whom} is ambiguous"),
            }
        }
    }
}
