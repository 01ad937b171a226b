//! The node's knowledge of peers: keeps the book and the store consistent.

use std::net::{IpAddr, SocketAddr};

use protocol::lan::view::{Entry, Event, State, Trust};
use protocol::lan::{NodeId, PeerKey};
use protocol::{Body, Timestamp};
use tokio::time::Instant;

use super::state::Node;
use crate::book::{Authenticated, Evidence, Sighting};
use crate::interfaces::LocalRoute;
use crate::name;
use crate::secure::hint::Hint;
use crate::secure::links::{Arrival, Link, Refused};
use crate::store::{Person, StoreError};

/// Whether an authenticated node may communicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Welcome {
    /// Allowed.
    Fine,
    /// The user has blocked it.
    Blocked,
}

/// The route to a legacy peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// The kernel's choice, because the operator configured the address.
    Any,
    /// Only through the network on which its presence arrived.
    Through(LocalRoute),
}

/// Why nothing is sent to a legacy peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoute {
    /// The address is not on one of our networks.
    #[error("the address is on none of this machine's networks; nothing was sent")]
    Elsewhere,
    /// The address may have been reassigned.
    #[error("not heard for 10 s, so another machine may have the address; nothing was sent")]
    Silent,
}

/// The node to which an address belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// No node.
    Nobody,
    /// This node, connected or not.
    Node(NodeId),
    /// Several nodes at different times, of which none is connected.
    Several,
}

/// The result of a sighting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SightingResult {
    /// A peer that was offline.
    New,
    /// A peer that was online.
    Known,
    /// An address that no peer can have: our own, or on none of our networks.
    Nobody,
    /// There is no room for another peer.
    NoRoom,
}

impl Node {
    /// Records a sighting of a legacy peer.
    pub(crate) fn record_sighting(&self, ip: IpAddr, by: Evidence) -> SightingResult {
        if !self.is_peer(ip) {
            return SightingResult::Nobody;
        }
        match self.book().record_sighting(PeerKey::Legacy(ip), by, Instant::now(), Timestamp::now()) {
            Sighting::New => {
                self.changed.notify_one();
                SightingResult::New
            }
            Sighting::Known => SightingResult::Known,
            Sighting::NoRoom => SightingResult::NoRoom,
        }
    }

    /// Whether presence arrives from this address.
    pub(crate) fn is_present(&self, ip: IpAddr) -> bool {
        self.book().is_present(ip, Instant::now())
    }

    fn is_peer(&self, ip: IpAddr) -> bool {
        self.interfaces.borrow().can_be_peer(ip) || self.is_given(ip)
    }

    /// The route to a legacy peer, while its address can be assumed to be unchanged: anybody who has the address can read what is sent
    /// there.
    pub(crate) fn route_to_legacy(&self, ip: IpAddr) -> Result<Route, NoRoute> {
        if self.is_given(ip) {
            return Ok(Route::Any);
        }
        let way = self.interfaces.borrow().route_to(ip).ok_or(NoRoute::Elsewhere)?;
        let is_online = self.book().is_online(PeerKey::Legacy(ip), Instant::now());
        if is_online { Ok(Route::Through(way)) } else { Err(NoRoute::Silent) }
    }

    /// The node to which an address belongs. That is permanent, so that messages meant for a node are never sent unencrypted.
    pub(crate) fn owner_of(&self, ip: IpAddr) -> Owner {
        let known = if self.is_given(ip) { Vec::new() } else { self.book().nodes_at(ip) };
        match (self.node_at(ip), known.as_slice()) {
            (Some(id), _) => Owner::Node(id),
            (None, []) => Owner::Nobody,
            (None, [id]) => Owner::Node(*id),
            (None, _) => Owner::Several,
        }
    }

    fn is_given(&self, ip: IpAddr) -> bool {
        self.given.contains(&ip)
    }

    /// Whether messages to this peer are allowed: it was discovered or configured.
    pub(crate) fn may_send(&self, peer: PeerKey) -> bool {
        let is_given = match peer {
            PeerKey::Legacy(ip) => self.is_given(ip),
            PeerKey::Node(_) => false,
        };
        self.book().knows(peer) || is_given
    }

    /// The node that is connected from this address, if there is exactly one.
    pub(crate) fn node_at(&self, ip: IpAddr) -> Option<NodeId> {
        let mut there = self.links.all().into_iter().filter(|(_, remote)| remote.ip() == ip);
        let (first, second) = (there.next(), there.next());
        first.filter(|_| second.is_none()).map(|(id, _)| id)
    }

    /// Whether messages to this peer wait until it is back online.
    pub(crate) fn is_offline_node(&self, peer: PeerKey) -> bool {
        match peer {
            PeerKey::Legacy(_) => false,
            PeerKey::Node(id) => !self.links.has(id),
        }
    }

    /// Queues a message to a node; it is sent now or once the node is connected.
    pub(crate) async fn enqueue(&self, peer: NodeId, body: Body) -> Result<Entry, StoreError> {
        let entry = self.store.enqueue(peer, body).await?;
        self.record_message(entry.clone()).await?;
        self.wake(peer);
        Ok(entry)
    }

    fn wake(&self, peer: NodeId) {
        match self.links.of(peer) {
            Some(link) => link.wake.notify_one(),
            // If the queue is full, the dialler still dials, only later.
            None => drop(self.hints.try_send(Hint::Wanted(peer))),
        }
    }

    /// Passes a hint to the dialler: a node may be at this address; `is_proved` if it answered a challenge. Returns whether that is
    /// possible.
    pub(crate) fn hint(&self, id: NodeId, address: SocketAddr, is_proved: bool) -> bool {
        // Ports below 1024 belong to system services, and legacy programs show all input on their port as messages.
        let is_port = address.port() >= 1024 && address.port() != self.config.tcp_port;
        let can_be = is_port && self.interfaces.borrow().can_be_peer(address.ip());
        if can_be {
            // A dropped hint is repeated later.
            let _ = self.hints.try_send(Hint::At(id, address, is_proved));
        }
        can_be
    }

    /// Whether a peer that the user knows was at this address.
    pub(crate) fn is_familiar_place(&self, ip: IpAddr) -> bool {
        self.book().is_familiar_place(ip)
    }

    /// Whether a node can be at this address now: it is on one of our networks, or configured.
    pub(crate) fn can_be_dialled(&self, ip: IpAddr) -> bool {
        let is_named = || self.config.places().any(|place| place.host.parse() == Ok(ip));
        self.interfaces.borrow().can_be_peer(ip) || is_named()
    }

    /// The known nodes with their last addresses.
    pub(crate) fn known_addresses(&self) -> Vec<(NodeId, Vec<SocketAddr>)> {
        self.book().addresses()
    }

    /// Whether a different node is now at this address, so that dialling it is useless.
    pub(crate) fn is_place_of_another(&self, id: NodeId, address: SocketAddr) -> bool {
        self.book().is_place_of_another(id, address)
    }

    /// Whether messages may be sent to a node.
    pub(crate) fn is_trusted(&self, id: NodeId) -> bool {
        matches!(self.book().trust(id), Trust::New | Trust::Verified)
    }

    /// Whether the user has blocked a node.
    pub(crate) fn is_blocked(&self, id: NodeId) -> bool {
        self.book().trust(id) == Trust::Blocked
    }

    /// Admits an authenticated node to the connected ones.
    pub(crate) fn enter(&self, arrival: Arrival) -> Result<Link, Refused> {
        let book = self.book();
        self.links.enter(self.me, arrival, |id| book.is_stranger(id))
    }

    /// Whether a node is a stranger to the user.
    pub(crate) fn is_stranger(&self, id: NodeId) -> bool {
        self.book().is_stranger(id)
    }

    /// Records an authenticated node, its own name, and the address at which it can be dialled.
    pub(crate) async fn record_authenticated(
        &self,
        id: NodeId,
        name: &str,
        place: SocketAddr,
    ) -> Result<Welcome, StoreError> {
        if self.is_blocked(id) {
            return Ok(Welcome::Blocked);
        }
        let name = name::sanitised(name);
        let Authenticated { person, is_suspect } =
            self.book().record_authenticated(id, &name, place, Timestamp::now());
        if is_suspect {
            self.counters.changed_names.add(1);
            tracing::warn!(
                name,
                id = id.short(),
                "KEY CHANGED: this name now has another key and may be somebody else; nothing is sent to it until you have compared fingerprints"
            );
        }
        let gone = self.store.save_authenticated(person).await?;
        self.forget(&gone);
        Ok(Welcome::Fine)
    }

    /// A node has connected and can be dialled at this address.
    pub(crate) fn connected(&self, id: NodeId, place: SocketAddr) {
        // If the queue is full, the dialler uses the previous address.
        let _ = self.hints.try_send(Hint::Connected(id, place));
        if self.book().link(id, true, Instant::now(), Timestamp::now()) {
            tracing::info!(id = id.short(), "connected");
        }
        self.changed.notify_one();
    }

    /// A node has disconnected.
    pub(crate) fn disconnected(&self, id: NodeId) {
        self.book().link(id, false, Instant::now(), Timestamp::now());
        self.changed.notify_one();
        tracing::info!(id = id.short(), "disconnected");
    }

    /// Sets how far the user trusts a node. Returns whether the node is known.
    pub(crate) async fn set_trust(&self, id: NodeId, trust: Trust) -> Result<bool, StoreError> {
        let person = self.book().set_trust(id, trust);
        let Some(person) = person else { return Ok(false) };
        self.save_person(person).await?;
        match self.links.of(id) {
            Some(link) if trust == Trust::Blocked => link.close.cancel(),
            Some(_) | None => self.wake(id),
        }
        Ok(true)
    }

    /// Records a message: its peer becomes persistent, and the pages are notified.
    pub(crate) async fn record_message(&self, entry: Entry) -> Result<(), StoreError> {
        let person = self.book().record_message(entry.peer, entry.state != State::Received, Timestamp::now());
        if let Some(person) = person {
            self.save_person(person).await?;
        }
        self.publish(Event::Message { entry });
        Ok(())
    }

    /// Renames a peer locally. Returns whether the peer is known.
    pub(crate) async fn rename(&self, peer: PeerKey, name: &str) -> Result<bool, StoreError> {
        let person: Option<Person> = self.book().rename(peer, name::sanitised(name));
        let Some(person) = person else { return Ok(false) };
        self.save_person(person).await?;
        Ok(true)
    }

    async fn save_person(&self, person: Person) -> Result<(), StoreError> {
        let gone = self.store.save_person(person).await?;
        self.forget(&gone);
        Ok(())
    }

    fn forget(&self, gone: &[PeerKey]) {
        self.book().forget(gone);
        self.changed.notify_one();
    }
}
