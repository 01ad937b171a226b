//! What all parts share.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use kit::Failure;
use protocol::lan::datagram::Beacon;
use protocol::lan::view::{Entry, Event, Me, Overview, Trust};
use protocol::lan::{NodeId, PeerKey};
use protocol::{Body, Timestamp};
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::book::{Book, Met, Sign};
use crate::config::Config;
use crate::doctor::Facts;
use crate::interfaces::Interfaces;
use crate::metrics::Counters;
use crate::name;
use crate::old::outlet::Turns;
use crate::secure::dialler::Hint;
use crate::secure::identity::{self, Identity};
use crate::secure::links::Links;
use crate::secure::tls::Tls;
use crate::store::{Person, Store, StoreError};

/// Where messages are kept, below the data directory.
const STORE: &str = "lan-peer.db";
/// Where the identity is kept.
const IDENTITY: &str = "lan-peer.key";
/// Events that a page may be behind; one that is further behind is told so and asks again.
const EVENTS: usize = 256;
/// Pages hear of changes among the peers at most this often.
const CHANGES: Duration = Duration::from_millis(250);
/// Who went is noticed this often.
const EXPIRE: Duration = Duration::from_secs(1);

/// This node: state that several tasks use, each lock held for a few lines.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) counters: Counters,
    pub(crate) interfaces: watch::Sender<Interfaces>,
    pub(crate) turns: Turns,
    /// Who we are.
    pub(crate) me: NodeId,
    pub(crate) tls: Tls,
    pub(crate) links: Links,
    /// The TCP port at which nodes of ours reach us.
    pub(crate) port: u16,
    /// What we send to tell them.
    pub(crate) beacon: Box<[u8]>,
    hints: mpsc::Sender<Hint>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    troubles: Mutex<Troubles>,
    book: Mutex<Book>,
    events: broadcast::Sender<Event>,
    changed: Notify,
}

/// What does not work.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    /// Why presence cannot be heard.
    pub(crate) deaf: Option<String>,
    /// Why messages of the old kind cannot come in.
    pub(crate) closed: Option<String>,
}

/// How a node of ours is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Welcome {
    /// It may talk.
    Fine,
    /// It is turned away.
    Blocked,
}

/// Where a node works, beside its configuration.
#[derive(Debug)]
pub(crate) struct Place<'p> {
    /// The data directory.
    pub(crate) data: &'p Path,
    /// The port of the secure protocol, open already.
    pub(crate) port: u16,
    /// To the dialler.
    pub(crate) hints: mpsc::Sender<Hint>,
    /// When everything ends.
    pub(crate) shutdown: CancellationToken,
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
    /// Opens the store and the identity, and remembers who is kept.
    pub(crate) async fn open(config: Config, place: Place<'_>) -> Result<Self, Failure> {
        let identity = Identity::load(&place.data.join(IDENTITY))?;
        let store = Store::open(&place.data.join(STORE))?;
        let people = store.people().await?;
        let boot = getrandom::u64().map_err(std::io::Error::other)? >> 11;
        let beacon = Beacon { id: identity.id, port: place.port, boot };
        Ok(Self {
            config,
            store,
            counters: Counters::default(),
            interfaces: watch::channel(Interfaces::look()?).0,
            turns: Turns::default(),
            me: identity.id,
            tls: Tls::new(&identity)?,
            links: Links::default(),
            port: place.port,
            beacon: beacon.to_bytes().into(),
            hints: place.hints,
            tasks: TaskTracker::new(),
            shutdown: place.shutdown,
            troubles: Mutex::default(),
            book: Mutex::new(Book::new(people, Instant::now())),
            events: broadcast::channel(EVENTS).0,
            changed: Notify::new(),
        })
    }

    /// Does something until it is done or everything ends.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move { shutdown.run_until_cancelled(task).await });
    }

    /// Waits for all that was spawned; all of it ends at its next wait.
    pub(crate) async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What this node calls itself.
    pub(crate) fn name(&self) -> String {
        if self.config.name.is_empty() { name::of_this_machine() } else { self.config.name.clone() }
    }

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

    fn is_peer(&self, ip: IpAddr) -> bool {
        self.interfaces.borrow().can_be_peer(ip) || self.is_given(ip)
    }

    fn is_given(&self, ip: IpAddr) -> bool {
        self.config.old().any(|given| given == ip)
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

    /// Whether what is written to a node may go out to it.
    pub(crate) fn is_trusted(&self, id: NodeId) -> bool {
        matches!(self.book().trust(id), Trust::New | Trust::Verified)
    }

    /// Whether a node is turned away.
    pub(crate) fn is_blocked(&self, id: NodeId) -> bool {
        self.book().trust(id) == Trust::Blocked
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
        self.keep_person(person).await?;
        Ok(Welcome::Fine)
    }

    /// A node of ours is connected.
    pub(crate) fn came(&self, id: NodeId) {
        self.book().link(id, true, Timestamp::now());
        self.changed.notify_one();
        tracing::info!(id = id.short(), "connected");
    }

    /// It is not any more.
    pub(crate) fn went(&self, id: NodeId) {
        self.book().link(id, false, Timestamp::now());
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
        let person = self.book().keep(entry.peer, Timestamp::now());
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
        self.book().let_go(&gone);
        self.changed.notify_one();
        Ok(())
    }

    /// Everybody, for the page. Whoever speaks the old protocol from where a node of ours is connected is that node.
    pub(crate) async fn overview(&self) -> Result<Overview, StoreError> {
        let waiting = self.store.waiting_counts().await?;
        let nodes = self.links.all();
        let is_twin = |ip: IpAddr| nodes.iter().any(|(_, remote)| remote.ip() == ip);
        let mut peers = self.book().list(Instant::now());
        peers.retain(|peer| match peer.key {
            PeerKey::Old(ip) => !is_twin(ip),
            PeerKey::Node(_) => true,
        });
        peers.iter_mut().for_each(|peer| peer.waiting = waiting.get(&peer.key).copied().unwrap_or(0));
        let me = Me {
            id: self.me,
            name: self.name(),
            fingerprint: identity::fingerprint(&self.me),
            link: identity::link(&self.me),
        };
        Ok(Overview { me, peers })
    }

    /// How many are there.
    pub(crate) fn online(&self) -> usize {
        self.present().len()
    }

    /// Every address that somebody is at, and when they were heard there.
    pub(crate) fn present(&self) -> BTreeMap<IpAddr, Timestamp> {
        let heard = self.book().present(Instant::now());
        let nodes = self.links.all().into_iter().map(|(_, remote)| (remote.ip(), Timestamp::now()));
        nodes.chain(heard).collect()
    }

    /// What does not work.
    pub(crate) fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().expect("nobody panics while holding this lock")
    }

    /// What the doctor looks at.
    pub(crate) fn facts(&self) -> Facts {
        let counters = &self.counters;
        let Troubles { deaf, closed } = &*self.troubles();
        let networks =
            self.interfaces.borrow().iter().map(|one| format!("{} {}", one.name, one.ip)).collect();
        Facts {
            networks,
            is_container: ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists()),
            udp_port: self.config.udp_port,
            tcp_port: self.config.tcp_port,
            port: self.port,
            wanted_port: self.config.secure_port,
            deaf: deaf.clone(),
            closed: closed.clone(),
            mdns: self.config.mdns.then(|| counters.mdns.get()),
            unsent: counters.datagrams_unsent.get(),
            own: counters.datagrams_own.get(),
            others: counters.datagrams_others.get(),
            strange: counters.datagrams_strange.get(),
            online: self.online(),
            dials: counters.dials.get(),
            wrong_keys: counters.wrong_keys.get(),
        }
    }

    /// What happens from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Tells the pages.
    pub(crate) fn publish(&self, event: Event) {
        // Without a page nobody listens.
        let _ = self.events.send(event);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nobody panics while holding this lock")
    }
}

/// Tells the pages of comings and goings, and notices who went, for ever.
pub(crate) async fn tell_changes(node: Arc<Node>) {
    let mut ticks = tokio::time::interval(EXPIRE);
    loop {
        tokio::select! {
            () = node.changed.notified() => {
                node.publish(Event::Peers);
                tokio::time::sleep(CHANGES).await;
            }
            _ = ticks.tick() => {
                if node.book().expire(Instant::now()) {
                    node.changed.notify_one();
                }
            }
        }
    }
}
