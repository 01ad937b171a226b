//! One peer as the book knows it.

use std::net::IpAddr;
use std::time::Duration;

use protocol::lan::PeerKey;
use protocol::lan::datagram::SILENCE;
use protocol::lan::view::{Peer, Trust};
use tokio::time::Instant;

use crate::name;
use crate::secure::identity::fingerprint;
use crate::store::Person;

/// How a peer of the old kind showed that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// By a datagram, which anybody can send under any address.
    Presence,
    /// By a message over TCP, which only whoever is at the address can send.
    Message,
}

/// A peer of the old kind whose announcements do not reach us, and whose message did, counts as online for this long: time enough to
/// answer, and short enough that its address is hardly anybody else's by then.
pub(super) const ANSWERABLE: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(super) struct Known {
    pub(super) person: Person,
    pub(super) is_kept: bool,
    /// When its presence was heard last.
    pub(super) heard: Option<Instant>,
    /// When a message came from it last, while its presence was not heard.
    pub(super) spoke: Option<Instant>,
    /// A node of ours is there as long as it is connected.
    pub(super) is_linked: bool,
    /// When it went.
    pub(super) left: Option<Instant>,
}

impl Known {
    /// Not heard yet, and not kept.
    pub(super) fn new(person: Person) -> Self {
        Self { person, is_kept: false, heard: None, spoke: None, is_linked: false, left: None }
    }

    pub(super) fn is_online(&self, now: Instant) -> bool {
        let is_within = |at: Option<Instant>, time| at.is_some_and(|at| now.duration_since(at) < time);
        self.is_linked || is_within(self.heard, SILENCE) || is_within(self.spoke, ANSWERABLE)
    }

    /// It gave a sign of life.
    pub(super) fn felt(&mut self, by: Evidence, now: Instant) {
        match by {
            Evidence::Presence => (self.heard, self.spoke) = (Some(now), None),
            Evidence::Message => {
                let is_announced = self.heard.is_some_and(|heard| now.duration_since(heard) < SILENCE);
                self.spoke = (!is_announced).then_some(now);
            }
        }
    }

    /// Whether a sign of life is on record, however old.
    pub(super) fn was_felt(&self) -> bool {
        self.heard.is_some() || self.spoke.is_some()
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

    /// Whether people may talk with it, as far as its name goes.
    pub(super) fn is_believed(&self) -> bool {
        match self.person.trust {
            Trust::Clear | Trust::New | Trust::Verified => true,
            Trust::Changed | Trust::Blocked => false,
        }
    }

    /// Whether people here know this node under its name, and would think that they talk with it.
    pub(super) fn is_acquainted(&self) -> bool {
        let Person { has_talked, given, trust, .. } = &self.person;
        let is_familiar = *has_talked || !given.is_empty() || *trust == Trust::Verified;
        self.is_node() && self.is_believed() && is_familiar
    }

    /// Whether people here have nothing to do with this peer: that it talks to them costs nothing, and makes it nobody they know.
    pub(super) fn is_stranger(&self) -> bool {
        let Person { has_been_written_to, given, trust, .. } = &self.person;
        !(*has_been_written_to || !given.is_empty() || *trust == Trust::Verified)
    }

    /// Whether it is called so, here or by itself.
    pub(super) fn goes_by(&self, name: &str) -> bool {
        let is_same = |text: &str| !text.is_empty() && name::look_the_same(text, name);
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

    /// As pages see it; `is_shared` when somebody else has its name.
    pub(super) fn view(&self, now: Instant, is_shared: bool) -> Peer {
        let Person { key, given, claimed, addresses, trust, last_seen, .. } = &self.person;
        let mut name = self.name();
        let (fingerprint, addresses) = match key {
            PeerKey::Old(ip) => {
                let address = ip.to_string();
                if is_shared && name != address {
                    name = format!("{name} ({address})");
                }
                (None, vec![address])
            }
            PeerKey::Node(id) => {
                // A name that was given here is people's own.
                let is_doubtful = given.is_empty() && name::is_doubtful(claimed);
                if is_shared || is_doubtful || *trust == Trust::Changed {
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
