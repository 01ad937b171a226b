//! One peer as the book knows it.

use std::net::IpAddr;

use protocol::lan::PeerKey;
use protocol::lan::datagram::SILENCE;
use protocol::lan::view::{Peer, Trust};
use tokio::time::Instant;

use crate::secure::identity::fingerprint;
use crate::store::Person;

#[derive(Debug)]
pub(super) struct Known {
    pub(super) person: Person,
    pub(super) is_kept: bool,
    pub(super) heard: Option<Instant>,
    /// A node of ours is there as long as it is connected.
    pub(super) is_linked: bool,
    /// When it went.
    pub(super) left: Option<Instant>,
}

impl Known {
    /// Not heard yet, and not kept.
    pub(super) fn new(person: Person) -> Self {
        Self { person, is_kept: false, heard: None, is_linked: false, left: None }
    }

    pub(super) fn is_online(&self, now: Instant) -> bool {
        self.is_linked || self.heard.is_some_and(|heard| now.duration_since(heard) < SILENCE)
    }

    /// Where this node is, or was until lately: what is heard from there of the old kind is its own presence.
    pub(super) fn place(&self, now: Instant) -> Option<IpAddr> {
        let was_there = self.left.is_some_and(|left| now.duration_since(left) < SILENCE);
        let address = self.person.addresses.first().filter(|_| self.is_linked || was_there);
        address.map(|address| address.ip())
    }

    pub(super) fn is_node(&self) -> bool {
        matches!(self.person.key, PeerKey::Node(_))
    }

    /// A node that people may talk with, as far as its name goes.
    pub(super) fn is_believed(&self) -> bool {
        matches!(self.person.trust, Trust::New | Trust::Verified)
    }

    /// Whether people here know this node under its name, and would think that they talk with it.
    pub(super) fn is_acquainted(&self) -> bool {
        let Person { has_talked, given, trust, .. } = &self.person;
        let is_familiar = *has_talked || !given.is_empty() || *trust == Trust::Verified;
        self.is_node() && self.is_believed() && is_familiar
    }

    /// Whether it is called so, here or by itself.
    pub(super) fn goes_by(&self, name: &str) -> bool {
        let is_same = |text: &String| text.to_lowercase() == name.to_lowercase();
        is_same(&self.person.given) || is_same(&self.person.claimed)
    }

    /// What to call it: as people here do, else as it does itself, else by its address or key.
    pub(super) fn name(&self) -> String {
        let Person { key, given, claimed, .. } = &self.person;
        let called = [given, claimed].into_iter().find(|name| !name.is_empty()).cloned();
        called.unwrap_or_else(|| match key {
            PeerKey::Old(ip) => ip.to_string(),
            PeerKey::Node(id) => id.short(),
        })
    }

    /// As pages see it; `is_shared` when another node has its name.
    pub(super) fn view(&self, now: Instant, is_shared: bool) -> Peer {
        let Person { key, claimed, addresses, trust, last_seen, .. } = &self.person;
        let mut name = self.name();
        let (fingerprint, addresses) = match key {
            PeerKey::Old(ip) => (None, vec![ip.to_string()]),
            PeerKey::Node(id) => {
                if is_shared || *trust == Trust::Changed {
                    name = format!("{name} ({})", id.short());
                }
                (Some(fingerprint(id)), addresses.iter().map(ToString::to_string).collect())
            }
        };
        Peer {
            key: *key,
            name,
            claimed: (!claimed.is_empty()).then(|| claimed.clone()),
            online: self.is_online(now),
            trust: *trust,
            fingerprint,
            addresses,
            last_seen: Some(*last_seen),
            waiting: 0,
        }
    }
}
