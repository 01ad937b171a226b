//! What the node knows of the others, and what it does about it: the book and the disk together.

use std::net::{IpAddr, SocketAddr};

use protocol::lan::view::{Entry, Event, State, Trust};
use protocol::lan::{NodeId, PeerKey};
use protocol::{Body, Timestamp};
use tokio::time::Instant;

use super::state::Node;
use crate::book::{Evidence, Met, Sign};
use crate::interfaces::Way;
use crate::name;
use crate::secure::hint::Hint;
use crate::secure::links::{Arrival, Link, Refused};
use crate::store::{Person, StoreError};

/// How a node of ours is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Welcome {
    /// It may talk.
    Fine,
    /// It is turned away.
    Blocked,
}

/// How a peer of the old kind is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// As the system likes: the operator has named the address.
    Any,
    /// On the network that it was heard on, and no other.
    Through(Way),
}

/// Why nothing is sent to a peer of the old kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoute {
    /// Another network has the address.
    #[error("the address is on none of this machine's networks; nothing was sent")]
    Elsewhere,
    /// The address may have passed on.
    #[error("not heard for 10 s, so another machine may have the address; nothing was sent")]
    Silent,
}

/// To which node of ours an address belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// To none.
    Nobody,
    /// To this one, connected or not.
    Node(NodeId),
    /// To several, one after another, and none is connected.
    Several,
}

/// What became of a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Somebody who was not there before.
    New,
    /// Somebody who was.
    Known,
    /// An address that no peer can have: our own, or on no network of ours.
    Nobody,
    /// There is no room for one more.
    NoRoom,
}

impl Node {
    /// Somebody at this address gave a sign of life.
    pub(crate) fn heard(&self, ip: IpAddr, by: Evidence) -> Heard {
        if !self.is_peer(ip) {
            return Heard::Nobody;
        }
        match self.book().sign(PeerKey::Old(ip), by, Instant::now(), Timestamp::now()) {
            Sign::New => {
                self.changed.notify_one();
                Heard::New
            }
            Sign::Known => Heard::Known,
            Sign::NoRoom => Heard::NoRoom,
        }
    }

    /// Whether presence is heard from this address.
    pub(crate) fn is_present(&self, ip: IpAddr) -> bool {
        self.book().is_present(ip, Instant::now())
    }

    fn is_peer(&self, ip: IpAddr) -> bool {
        self.interfaces.borrow().can_be_peer(ip) || self.is_given(ip)
    }

    /// The way to a peer of the old kind, as long as it can be taken for whom it was: what is sent there can be read by anybody who has
    /// the address by then.
    pub(crate) fn way_to_old(&self, ip: IpAddr) -> Result<Route, NoRoute> {
        if self.is_given(ip) {
            return Ok(Route::Any);
        }
        let way = self.interfaces.borrow().way_to(ip).ok_or(NoRoute::Elsewhere)?;
        let is_online = self.book().is_online(PeerKey::Old(ip), Instant::now());
        if is_online { Ok(Route::Through(way)) } else { Err(NoRoute::Silent) }
    }

    /// Which node of ours an address belongs to. Once it was one's it stays so: what is meant for it never goes out unencrypted.
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

    /// Whether anything may be sent to this peer: it was discovered, or the operator named it.
    pub(crate) fn may_send(&self, peer: PeerKey) -> bool {
        let is_given = match peer {
            PeerKey::Old(ip) => self.is_given(ip),
            PeerKey::Node(_) => false,
        };
        self.book().knows(peer) || is_given
    }

    /// The one node of ours that is connected from this address, if it is only one.
    pub(crate) fn node_at(&self, ip: IpAddr) -> Option<NodeId> {
        let mut there = self.links.all().into_iter().filter(|(_, remote)| remote.ip() == ip);
        let (first, second) = (there.next(), there.next());
        first.filter(|_| second.is_none()).map(|(id, _)| id)
    }

    /// Whether what is written to this peer waits until it is back.
    pub(crate) fn is_offline_node(&self, peer: PeerKey) -> bool {
        match peer {
            PeerKey::Old(_) => false,
            PeerKey::Node(id) => !self.links.has(id),
        }
    }

    /// Writes a message to a node of ours; it goes out when it can, now or later.
    pub(crate) async fn enqueue(&self, peer: NodeId, body: Body) -> Result<Entry, StoreError> {
        let entry = self.store.enqueue(peer, body).await?;
        self.said(entry.clone()).await?;
        self.wake(peer);
        Ok(entry)
    }

    fn wake(&self, peer: NodeId) {
        match self.links.of(peer) {
            Some(link) => link.wake.notify_one(),
            // A dialler that has no room for this dials all the same, only later.
            None => drop(self.hints.try_send(Hint::Wanted(peer))),
        }
    }

    /// A node of ours may be at this address; `is_proved` when somebody there has said so. Returns whether it can be.
    pub(crate) fn hint(&self, id: NodeId, address: SocketAddr, is_proved: bool) -> bool {
        // Ports below 1024 are the system's services, and the old kind shows whatever comes to its port as a message.
        let is_port = address.port() >= 1024 && address.port() != self.config.tcp_port;
        let can_be = is_port && self.interfaces.borrow().can_be_peer(address.ip());
        if can_be {
            // One that does not fit comes again.
            let _ = self.hints.try_send(Hint::At(id, address, is_proved));
        }
        can_be
    }

    /// Whether somebody was at this address whom people here know.
    pub(crate) fn is_familiar_place(&self, ip: IpAddr) -> bool {
        self.book().is_familiar_place(ip)
    }

    /// Whether a node of ours can be at this address now: it is on one of our networks, or the operator has named it.
    pub(crate) fn can_be_dialled(&self, ip: IpAddr) -> bool {
        let is_named = || self.config.places().any(|place| place.host.parse() == Ok(ip));
        self.interfaces.borrow().can_be_peer(ip) || is_named()
    }

    /// The nodes of ours that are known, and where they were last.
    pub(crate) fn known_addresses(&self) -> Vec<(NodeId, Vec<SocketAddr>)> {
        self.book().addresses()
    }

    /// Whether somebody else is known to be where a node was: there is no use in dialling it there.
    pub(crate) fn is_place_of_another(&self, id: NodeId, address: SocketAddr) -> bool {
        self.book().is_place_of_another(id, address)
    }

    /// Whether what is written to a node may go out to it.
    pub(crate) fn is_trusted(&self, id: NodeId) -> bool {
        matches!(self.book().trust(id), Trust::New | Trust::Verified)
    }

    /// Whether a node is turned away.
    pub(crate) fn is_blocked(&self, id: NodeId) -> bool {
        self.book().trust(id) == Trust::Blocked
    }

    /// A node that has said who it is takes its place among those who are connected.
    pub(crate) fn enter(&self, arrival: Arrival) -> Result<Link, Refused> {
        let book = self.book();
        self.links.enter(self.me, arrival, |id| book.is_stranger(id))
    }

    /// Whether people here have nothing to do with a node.
    pub(crate) fn is_stranger(&self, id: NodeId) -> bool {
        self.book().is_stranger(id)
    }

    /// A node of ours has proved who it is, and says what it calls itself and where it can be dialled.
    pub(crate) async fn met(&self, id: NodeId, name: &str, place: SocketAddr) -> Result<Welcome, StoreError> {
        if self.is_blocked(id) {
            return Ok(Welcome::Blocked);
        }
        let name = name::tidy(name);
        let Met { person, is_suspect } = self.book().met(id, &name, place, Timestamp::now());
        if is_suspect {
            self.counters.changed_names.add(1);
            tracing::warn!(
                name,
                id = id.short(),
                "KEY CHANGED: this name now has another key and may be somebody else; nothing is sent to it until you have compared fingerprints"
            );
        }
        let gone = self.store.keep_met(person).await?;
        self.forget(&gone);
        Ok(Welcome::Fine)
    }

    /// A node of ours is connected, and says that it can be dialled at this place.
    pub(crate) fn came(&self, id: NodeId, place: SocketAddr) {
        // A dialler that has no room for this dials where it was told before.
        let _ = self.hints.try_send(Hint::Met(id, place));
        if self.book().link(id, true, Instant::now(), Timestamp::now()) {
            tracing::info!(id = id.short(), "connected");
        }
        self.changed.notify_one();
    }

    /// It is not any more.
    pub(crate) fn went(&self, id: NodeId) {
        self.book().link(id, false, Instant::now(), Timestamp::now());
        self.changed.notify_one();
        tracing::info!(id = id.short(), "disconnected");
    }

    /// People have found out how far a node can be believed. Returns whether there is such a node.
    pub(crate) async fn judge(&self, id: NodeId, trust: Trust) -> Result<bool, StoreError> {
        let person = self.book().judge(id, trust);
        let Some(person) = person else { return Ok(false) };
        self.keep_person(person).await?;
        match self.links.of(id) {
            Some(link) if trust == Trust::Blocked => link.close.cancel(),
            Some(_) | None => self.wake(id),
        }
        Ok(true)
    }

    /// A message came or went: its peer is kept from now on, and the pages are told.
    pub(crate) async fn said(&self, entry: Entry) -> Result<(), StoreError> {
        let person = self.book().talked(entry.peer, entry.state != State::Received, Timestamp::now());
        if let Some(person) = person {
            self.keep_person(person).await?;
        }
        self.publish(Event::Message { entry });
        Ok(())
    }

    /// Gives a peer another name here. Returns whether there is such a peer.
    pub(crate) async fn rename(&self, peer: PeerKey, name: &str) -> Result<bool, StoreError> {
        let person: Option<Person> = self.book().rename(peer, name::tidy(name));
        let Some(person) = person else { return Ok(false) };
        self.keep_person(person).await?;
        Ok(true)
    }

    async fn keep_person(&self, person: Person) -> Result<(), StoreError> {
        let gone = self.store.keep_person(person).await?;
        self.forget(&gone);
        Ok(())
    }

    fn forget(&self, gone: &[PeerKey]) {
        self.book().forget(gone);
        self.changed.notify_one();
    }
}
