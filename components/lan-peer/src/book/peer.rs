//! A peer's entry in the book.

use std::net::IpAddr;
use std::time::Duration;

use protocol::lan::PeerKey;
use protocol::lan::datagram::SILENCE;
use protocol::lan::view::{Peer, Trust};
use tokio::time::Instant;

use crate::name;
use crate::secure::identity::fingerprint;
use crate::store::Person;

/// The evidence that a legacy peer is online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// A datagram, whose source address can be forged.
    Presence,
    /// A message over TCP, which proves the address.
    Message,
}

/// How long a legacy peer counts as online after a message if its presence does not reach us: long enough to answer, and short enough that
/// its address is unlikely to be reassigned.
pub(super) const ANSWERABLE: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(super) struct Known {
    pub(super) person: Person,
    pub(super) is_persistent: bool,
    /// The time of its last presence datagram.
    pub(super) last_presence: Option<Instant>,
    /// The time of its last message while no presence arrived.
    pub(super) last_message: Option<Instant>,
    /// Whether it is a node that is connected; nodes are online while connected.
    pub(super) is_linked: bool,
    /// When it went offline.
    pub(super) left: Option<Instant>,
}

impl Known {
    /// A transient peer without sightings.
    pub(super) fn new(person: Person) -> Self {
        Self {
            person,
            is_persistent: false,
            last_presence: None,
            last_message: None,
            is_linked: false,
            left: None,
        }
    }

    pub(super) fn is_online(&self, now: Instant) -> bool {
        let is_within = |at: Option<Instant>, time| at.is_some_and(|at| now.duration_since(at) < time);
        self.is_linked || is_within(self.last_presence, SILENCE) || is_within(self.last_message, ANSWERABLE)
    }

    /// Records a sighting.
    pub(super) fn record_sighting(&mut self, by: Evidence, now: Instant) {
        match by {
            Evidence::Presence => (self.last_presence, self.last_message) = (Some(now), None),
            Evidence::Message => {
                let is_announced =
                    self.last_presence.is_some_and(|heard| now.duration_since(heard) < SILENCE);
                self.last_message = (!is_announced).then_some(now);
            }
        }
    }

    /// Whether there was any sighting.
    pub(super) fn was_sighted(&self) -> bool {
        self.last_presence.is_some() || self.last_message.is_some()
    }

    /// The node's current or recent address; legacy presence from there is its own.
    pub(super) fn place(&self, now: Instant) -> Option<IpAddr> {
        let was_there = self.left.is_some_and(|left| now.duration_since(left) < SILENCE);
        let address = self.person.addresses.first().filter(|_| self.is_linked || was_there);
        address.map(|address| address.ip())
    }

    pub(super) fn is_node(&self) -> bool {
        matches!(self.person.key, PeerKey::Node(_))
    }

    /// Whether messages to it are allowed by its trust.
    pub(super) fn is_trusted(&self) -> bool {
        match self.person.trust {
            Trust::Unencrypted | Trust::New | Trust::Verified => true,
            Trust::Changed | Trust::Blocked => false,
        }
    }

    /// Whether the user knows this node by its name, and would expect to talk with it.
    pub(super) fn is_known_by_name(&self) -> bool {
        let Person { has_talked, given, trust, .. } = &self.person;
        let is_familiar = *has_talked || !given.is_empty() || *trust == Trust::Verified;
        self.is_node() && self.is_trusted() && is_familiar
    }

    /// Whether it is a stranger: receiving messages from it does not make it known.
    pub(super) fn is_stranger(&self) -> bool {
        let Person { has_been_written_to, given, trust, .. } = &self.person;
        !(*has_been_written_to || !given.is_empty() || *trust == Trust::Verified)
    }

    /// Whether it has this name, given here or its own.
    pub(super) fn has_name(&self, name: &str) -> bool {
        let is_same = |text: &str| !text.is_empty() && name::look_the_same(text, name);
        is_same(&self.person.given) || is_same(&self.person.claimed)
    }

    /// The name to show: given here, else its own, else its address or key.
    pub(super) fn name(&self) -> String {
        let Person { key, given, claimed, .. } = &self.person;
        let called = [given, claimed].into_iter().find(|name| !name.is_empty()).cloned();
        called.unwrap_or_else(|| match key {
            PeerKey::Legacy(ip) => ip.to_string(),
            PeerKey::Node(id) => id.short(),
        })
    }

    /// The view for pages; `is_shared` if its name needs a suffix.
    pub(super) fn view(&self, now: Instant, is_shared: bool) -> Peer {
        let Person { key, given, claimed, addresses, trust, last_seen, .. } = &self.person;
        let mut name = self.name();
        let (fingerprint, addresses) = match key {
            PeerKey::Legacy(ip) => {
                let address = ip.to_string();
                if is_shared && name != address {
                    name = format!("{name} ({address})");
                }
                (None, vec![address])
            }
            PeerKey::Node(id) => {
                // A name given here is the user's own choice.
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
