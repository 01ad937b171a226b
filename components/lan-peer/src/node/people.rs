//! What the node knows of the others, and what it does about it: the book and the disk together.

use std::net::{IpAddr, SocketAddr};

use protocol::lan::view::{Entry, Event, Trust};
use protocol::lan::{NodeId, PeerKey};
use protocol::{Body, Timestamp};
use tokio::time::Instant;

use super::Node;
use crate::book::{Met, Sign};
use crate::name;
use crate::secure::dialler::Hint;
use crate::store::{Person, StoreError};

/// How a node of ours is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Welcome {
    /// It may talk.
    Fine,
    /// It is turned away.
    Blocked,
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
    pub(crate) fn heard(&self, ip: IpAddr) -> Heard {
        if !self.is_peer(ip) {
            return Heard::Nobody;
        }
        match self.book().sign(PeerKey::Old(ip), Instant::now(), Timestamp::now()) {
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

    /// A node of ours may be at this address. Returns whether it can be.
    pub(crate) fn hint(&self, id: NodeId, address: SocketAddr) -> bool {
        let can_be = self.interfaces.borrow().can_be_peer(address.ip());
        if can_be {
            // One that does not fit comes again.
            let _ = self.hints.try_send(Hint::At(id, address));
        }
        can_be
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
                "THIS NAME CAME WITH ANOTHER KEY THAN BEFORE: somebody else may be behind it; nothing is sent to it until you have compared fingerprints"
            );
        }
        let gone = self.store.keep_met(person).await?;
        self.let_go(&gone);
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
        tracing::info!(id = id.short(), "not connected any more");
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
        let person = self.book().talked(entry.peer, Timestamp::now());
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
        self.let_go(&gone);
        Ok(())
    }

    fn let_go(&self, gone: &[PeerKey]) {
        self.book().let_go(gone);
        self.changed.notify_one();
    }
}
