//! Dials nodes: which ones, at which addresses, and when.
//!
//! Addresses come from beacons, mDNS, the configuration and earlier connections, and are only hints: a connection counts once the other
//! side has authenticated as the expected node. An unproved address, which answered no challenge, is dialled only after [`UNPROVED_LATER`]
//! and at [`UNPROVED`] per second on each network, so that forged hints cannot make us connect to arbitrary machines. Of two nodes, the one
//! with the lower id dials at once. The other waits for [`POLITE`], longer on large networks, and while the first one's handshake is in
//! progress, so that there is usually one connection and always at least one. IPv4 is dialled before IPv6, because legacy presence has an
//! IPv4 address, which can then be attributed to the node.
//!
//! Bounds: [`MAX_TARGETS`] targets with [`MAX_ADDRESSES`] addresses each, including the proved one; at most [`MAX_UNPROVED`] targets
//! without a proved address; [`DIALS`] dials at once, [`RATE`] per second. Overflow rule: a new target known only from a hint is not added;
//! its announcement arrives again.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kit::allowance::Allowance;
use kit::allowances::Allowances;
use kit::backoff::unit_random;
use protocol::lan::NodeId;
use rustls::CertificateError;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::handshakes::HANDSHAKE;
use super::hint::Hint;
use super::listener::{log, prepare};
use super::session::{self, Greeting, Peer};
use super::tls::{no_name, peer_id};
use crate::config::Place;
use crate::node::Node;

/// Most queued hints. Overflow rule: further ones are dropped; they are repeated.
pub(crate) const HINTS: usize = 256;
const MAX_TARGETS: usize = 512;
const MAX_ADDRESSES: usize = 4;
const MAX_UNPROVED: usize = 32;
const DIALS: usize = 32;
const RATE: u32 = 50;
/// Dials per second to unproved addresses on one network, and their burst. Older nodes and mDNS prove no addresses.
const UNPROVED: u32 = 2;
const UNPROVED_BURST: u32 = 4;
/// How long such a dial waits for the proof, which takes two datagrams.
const UNPROVED_LATER: Duration = Duration::from_millis(200);
/// Dials per second to new nodes that prove the same address, and their burst. One machine rarely runs many nodes.
const ONE_ADDRESS: u32 = 2;
const ONE_ADDRESS_BURST: u32 = 16;
/// Most networks, and most addresses, whose dials are counted.
const COUNTED: usize = 1024;
/// Connect timeout.
const CONNECT: Duration = Duration::from_secs(2);
/// How long the node with the higher id waits for the other to dial.
const POLITE: Duration = Duration::from_millis(300);
/// Additional wait for each known node, because a new node has to dial all of them and duplicate dials are costly then.
const POLITE_EACH: Duration = Duration::from_millis(10);
/// The longest such wait.
const POLITEST: Duration = Duration::from_millis(900);
/// How long an IPv6 address waits for an IPv4 one, which is announced at the same moment.
const IPV6_LATER: Duration = Duration::from_millis(30);
/// Shortest interval between dials to one node.
const APART: Duration = Duration::from_millis(500);
/// Shortest interval between dials to a connected node at another address.
const ELSEWHERE: Duration = Duration::from_secs(3);
/// Longest retry interval for nodes that were recently online or have messages waiting.
const SOON: Duration = Duration::from_secs(2);
/// Longest retry interval for other nodes.
const LATE: Duration = Duration::from_secs(60);
/// How long a node counts as recently online.
const LATELY: Duration = Duration::from_secs(600);
/// Failures after which a target known only from hints is dropped.
const FAILURES: u32 = 5;
/// The same if its address is unproved.
const UNPROVED_FAILURES: u32 = 2;
/// Longest interval between checks for due dials, because connections end without notice.
const LONGEST: Duration = Duration::from_millis(250);
/// Shortest interval between checks for due dials.
const SHORTEST: Duration = Duration::from_millis(10);

/// What to dial.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum TargetKey {
    /// The node with this key.
    Node(NodeId),
    /// Any node at this configured place.
    Place(Place),
}

/// A possible address of a node.
#[derive(Debug, Clone, Copy)]
struct Address {
    place: SocketAddr,
    /// Whether the node answered a challenge or was connected from there.
    is_proved: bool,
}

#[derive(Debug)]
struct Target {
    /// The address of the last connection is first and is never displaced.
    addresses: Vec<Address>,
    /// Whether it is known from more than a hint.
    is_known: bool,
    /// For a configured place: the node that was there.
    who: Option<NodeId>,
    next: Instant,
    tried: Option<Instant>,
    linked: Option<Instant>,
    is_wanted: bool,
    is_dialling: bool,
    failures: u32,
}

impl Target {
    fn new(next: Instant) -> Self {
        Self {
            addresses: Vec::new(),
            is_known: false,
            who: None,
            next,
            tried: None,
            linked: None,
            is_wanted: false,
            is_dialling: false,
            failures: 0,
        }
    }

    /// Adds a possible address after that of the last connection. Returns whether it is new.
    fn add(&mut self, address: Address) -> bool {
        if let Some(known) = self.addresses.iter_mut().find(|known| known.place == address.place) {
            let is_news = address.is_proved && !known.is_proved;
            known.is_proved |= address.is_proved;
            return is_news;
        }
        let first = usize::from(!self.addresses.is_empty() && self.linked.is_some());
        self.addresses.insert(first, address);
        // Proved addresses are never displaced by hints.
        self.addresses[first..].sort_by_key(|one| (!one.is_proved, one.place.is_ipv6()));
        self.addresses.truncate(MAX_ADDRESSES);
        self.failures = 0;
        true
    }

    /// Whether any address is proved.
    fn is_proved(&self) -> bool {
        self.is_known || self.linked.is_some() || self.addresses.iter().any(|address| address.is_proved)
    }

    /// The addresses to dial now: the proved ones, and after failures one unproved.
    fn due(&self) -> (Vec<SocketAddr>, Option<SocketAddr>) {
        let of = |is_proved| {
            self.addresses.iter().filter(move |one| one.is_proved == is_proved).map(|address| address.place)
        };
        let proved: Vec<SocketAddr> = of(true).collect();
        let hinted = of(false).next().filter(|_| proved.is_empty() || self.failures > 0);
        (proved, hinted)
    }

    /// The next retry interval, with jitter so that nodes do not dial all at once.
    fn pause(&self, now: Instant) -> Duration {
        let is_eager = self.is_wanted || self.linked.is_some_and(|at| now.duration_since(at) < LATELY);
        let longest = if is_eager { SOON } else { LATE };
        let pause = Duration::from_millis(250)
            .saturating_mul(2u32.saturating_pow(self.failures.min(16)))
            .min(longest);
        pause.mul_f64(0.75 + unit_random() / 4.0)
    }
}

/// The result of a dial: the node that was found, if any.
type Done = (TargetKey, Option<NodeId>);

struct Dialler {
    node: Arc<Node>,
    targets: HashMap<TargetKey, Target>,
    dials: JoinSet<Done>,
    allowance: Allowance,
    /// Dials to unproved addresses, by network (interface number).
    unproved: Allowances<u32>,
    /// Dials to new nodes, by the address that they proved.
    by_address: Allowances<IpAddr>,
    /// The times of the last and the next check for due dials.
    looked: Instant,
    look: Instant,
}

/// Runs the dialler, for ever.
pub(crate) async fn run(node: Arc<Node>, mut hints: mpsc::Receiver<Hint>) {
    let now = Instant::now();
    let allowance = Allowance::new(RATE, RATE, now);
    let (targets, dials) = (HashMap::new(), JoinSet::new());
    let unproved = Allowances::new(UNPROVED, UNPROVED_BURST, COUNTED);
    let by_address = Allowances::new(ONE_ADDRESS, ONE_ADDRESS_BURST, COUNTED);
    let mut dialler =
        Dialler { node, targets, dials, allowance, unproved, by_address, looked: now, look: now };
    dialler.remember(now);
    loop {
        tokio::select! {
            hint = hints.recv() => match hint {
                Some(Hint::At(id, place, is_proved)) => {
                    dialler.hint(id, Address { place, is_proved }, Instant::now());
                }
                Some(Hint::Connected(id, place)) => dialler.met(id, place, Instant::now()),
                Some(Hint::Wanted(id)) => dialler.wanted(id, Instant::now()),
                None => return,
            },
            Some(Ok(done)) = dialler.dials.join_next() => dialler.done(done, Instant::now()),
            () = tokio::time::sleep_until(dialler.look) => dialler.dial_due(Instant::now()),
        }
    }
}

impl Dialler {
    /// Adds the stored nodes and the configured places.
    fn remember(&mut self, now: Instant) {
        for (id, addresses) in self.node.known_addresses() {
            let addresses = addresses.into_iter().map(|place| Address { place, is_proved: true }).collect();
            let target = Target { addresses, is_known: true, linked: Some(now), ..Target::new(now) };
            self.targets.insert(TargetKey::Node(id), target);
        }
        for place in self.node.config.places() {
            self.targets.insert(TargetKey::Place(place), Target { is_known: true, ..Target::new(now) });
        }
    }

    fn has_room_for(&self, key: &TargetKey, is_proved: bool) -> bool {
        if self.targets.contains_key(key) {
            return true;
        }
        let unproved = || self.targets.values().filter(|target| !target.is_proved()).count();
        self.targets.len() < MAX_TARGETS && (is_proved || unproved() < MAX_UNPROVED)
    }

    fn hint(&mut self, id: NodeId, address: Address, now: Instant) {
        let key = TargetKey::Node(id);
        let Address { place, is_proved } = address;
        let link = self.node.links.of(id);
        let is_there = link.as_ref().is_some_and(|link| link.remote.ip() == place.ip());
        if is_there || !self.has_room_for(&key, is_proved) {
            return;
        }
        let wait = polite(self.node.me, id, patience(self.targets.len()))
            + if place.is_ipv6() { IPV6_LATER } else { Duration::ZERO }
            + if is_proved { Duration::ZERO } else { UNPROVED_LATER };
        let target = self.targets.entry(key).or_insert_with(|| Target::new(now + wait));
        let is_new = target.add(address);
        let apart = if link.is_some() { ELSEWHERE } else { APART };
        let earliest = target.tried.map_or(now, |tried| tried + apart);
        target.next = target.next.min((now + wait).max(earliest));
        let next = target.next;
        // A machine with several networks, or with IPv6 beside IPv4, has several addresses, and one connection is enough.
        let has_moved = link.is_some_and(|link| is_new && kind(link.remote.ip()) == kind(place.ip()));
        if has_moved && is_proved && now >= earliest && !target.is_dialling {
            // The node announces a new address though the old connection is open: check whether it moved.
            target.tried = Some(now);
            target.is_dialling = true;
            self.spawn(TargetKey::Node(id), vec![place]);
        }
        self.look_at(next);
    }

    /// Schedules a check.
    fn look_at(&mut self, next: Instant) {
        self.look = self.look.min(next.max(self.looked + SHORTEST));
    }

    fn met(&mut self, id: NodeId, place: SocketAddr, now: Instant) {
        let key = TargetKey::Node(id);
        if self.has_room_for(&key, true) {
            let target = self.targets.entry(key).or_insert_with(|| Target::new(now));
            target.addresses.retain(|address| address.place != place);
            target.addresses.insert(0, Address { place, is_proved: true });
            target.addresses.truncate(MAX_ADDRESSES);
            target.linked = Some(now);
        }
    }

    fn wanted(&mut self, id: NodeId, now: Instant) {
        if let Some(target) = self.targets.get_mut(&TargetKey::Node(id)) {
            target.is_wanted = true;
            target.next = target.next.min(target.tried.map_or(now, |tried| (tried + APART).max(now)));
            let next = target.next;
            self.look_at(next);
        }
    }

    fn dial_due(&mut self, now: Instant) {
        let mut due = Vec::new();
        let node = &self.node;
        let patience = patience(self.targets.len());
        self.targets.retain(|key, target| {
            let id = match key {
                TargetKey::Node(id) => Some(*id),
                TargetKey::Place(_) => target.who,
            };
            if id.is_some_and(|id| node.links.has(id)) {
                target.linked = Some(now);
                target.is_wanted = false;
                target.failures = 0;
                target.next = now + id.map_or(Duration::ZERO, |id| polite(node.me, id, patience));
            } else if !target.is_dialling && now >= target.next && id != Some(node.me) {
                let is_dialling_us = |address: &Address| node.handshakes.are_begun_from(address.place.ip());
                if target.addresses.iter().any(is_dialling_us) {
                    target.next = now + patience;
                } else {
                    due.push(key.clone());
                }
            }
            let was_there_lately = target.linked.is_some_and(|at| now.duration_since(at) < LATELY);
            target.is_known
                || was_there_lately
                || target.failures < if target.is_proved() { FAILURES } else { UNPROVED_FAILURES }
                || target.is_dialling
                || (target.linked.is_some() && id.is_some_and(|id| !node.is_stranger(id)))
        });
        let nodes = self.targets.keys().filter(|key| matches!(key, TargetKey::Node(_))).count();
        self.node.found.store(nodes, Ordering::Relaxed);
        (self.looked, self.look) = (now, self.next_look(now));
        for key in due {
            if self.dials.len() >= DIALS || self.allowance.take(now).is_err() {
                return;
            }
            let addresses = self.allowed(&key, now);
            let Some(target) = self.targets.get_mut(&key) else { continue };
            if addresses.is_empty() && matches!(key, TargetKey::Node(_)) {
                target.next = now + LONGEST;
                continue;
            }
            (target.is_dialling, target.tried) = (true, Some(now));
            self.spawn(key, addresses);
        }
    }

    /// The addresses that may be dialled now: all proved ones, and one unproved if the network's allowance permits.
    fn allowed(&mut self, key: &TargetKey, now: Instant) -> Vec<SocketAddr> {
        let Some(target) = self.targets.get(key) else { return Vec::new() };
        let (mut addresses, hinted) = target.due();
        if target.linked.is_none() && !target.is_known {
            addresses.retain(|place| self.by_address.take(place.ip(), now).is_ok());
        }
        let network =
            |place: &SocketAddr| self.node.interfaces.borrow().route_to(place.ip()).map(|way| way.index);
        let is_within =
            |place: &SocketAddr| network(place).is_some_and(|index| self.unproved.take(index, now).is_ok());
        addresses.extend(hinted.filter(is_within));
        addresses
    }

    /// The time of the next check for due dials.
    fn next_look(&self, now: Instant) -> Instant {
        let waiting = self.targets.values().filter(|target| !target.is_dialling && target.next > now);
        let first = waiting.map(|target| target.next).min().unwrap_or(now + LONGEST);
        first.clamp(now + SHORTEST, now + LONGEST)
    }

    fn spawn(&mut self, key: TargetKey, addresses: Vec<SocketAddr>) {
        let node = Arc::clone(&self.node);
        self.dials.spawn(async move {
            let found = match &key {
                TargetKey::Node(id) if node.is_blocked(*id) => None,
                TargetKey::Node(id) => {
                    // An address that is on none of our networks now would be somebody else's behind the default route.
                    let is_free = |address: &SocketAddr| {
                        node.can_be_dialled(address.ip()) && !node.is_place_of_another(*id, *address)
                    };
                    let addresses: Vec<SocketAddr> = addresses.into_iter().filter(is_free).collect();
                    dial_any(&node, Some(*id), &addresses).await
                }
                TargetKey::Place(place) => {
                    let found =
                        timeout(CONNECT, tokio::net::lookup_host((place.host.as_str(), place.port))).await;
                    let addresses: Vec<SocketAddr> = match found {
                        Ok(Ok(found)) => found.take(MAX_ADDRESSES).collect(),
                        Ok(Err(_)) | Err(_) => Vec::new(),
                    };
                    dial_any(&node, place.id, &addresses).await
                }
            };
            (key, found)
        });
    }

    fn done(&mut self, (key, found): Done, now: Instant) {
        let Some(target) = self.targets.get_mut(&key) else { return };
        target.is_dialling = false;
        match found {
            Some(id) => {
                target.who = Some(id);
                // The session has a handshake's time to authenticate; then the node counts as connected, or is retried.
                target.next = now + Duration::from_secs(1);
            }
            None => {
                target.failures = target.failures.saturating_add(1);
                target.next = now + target.pause(now);
            }
        }
        self.look_at(now);
    }
}

/// How long to wait for this node to dial us.
fn polite(me: NodeId, peer: NodeId, patience: Duration) -> Duration {
    if me < peer { Duration::ZERO } else { patience }
}

/// How long the node with the higher id waits, by the number of known nodes.
fn patience(nodes: usize) -> Duration {
    (POLITE + POLITE_EACH * u32::try_from(nodes).unwrap_or(u32::MAX).min(1000)).min(POLITEST)
}

/// A machine usually has one address of a kind per network at a time.
fn kind(ip: IpAddr) -> (bool, bool) {
    (ip.is_ipv4(), matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()))
}

/// Dials the addresses until the expected node authenticates.
async fn dial_any(node: &Arc<Node>, expected: Option<NodeId>, addresses: &[SocketAddr]) -> Option<NodeId> {
    for address in addresses {
        match dial(node, expected, *address).await {
            Ok(id) => return Some(id),
            Err(error) => {
                if is_wrong_key(&error) {
                    node.counters.wrong_keys.add(1);
                    tracing::warn!(%address, "another node answers at this address, with another key; nothing was sent");
                }
                tracing::debug!(%address, %error, "not reached");
            }
        }
    }
    None
}

/// Whether the handshake failed because of the other side's key.
fn is_wrong_key(error: &std::io::Error) -> bool {
    let refused = rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) == Some(&refused)
}

async fn dial(node: &Arc<Node>, expected: Option<NodeId>, address: SocketAddr) -> std::io::Result<NodeId> {
    node.counters.dials.add(1);
    let stream = timeout(CONNECT, TcpStream::connect(address)).await??;
    let (remote, local) = prepare(&stream)?;
    let config = node.tls.client(expected).map_err(std::io::Error::other)?;
    let stream = timeout(HANDSHAKE, TlsConnector::from(config).connect(no_name(), stream)).await??;
    let id = peer_id(stream.get_ref().1.peer_certificates()).ok_or(std::io::ErrorKind::InvalidData)?;
    if id == node.me {
        return Ok(id);
    }
    let served = Arc::clone(node);
    let (greeting, greeted) = oneshot::channel();
    node.spawn(async move {
        let peer = Peer { id, remote, local, dialled: true };
        if let Err(error) = session::run(&served, stream, peer, Greeting::Dialled(greeting)).await {
            log(&served, remote.ip(), &error);
        }
    });
    // Counts as a dial until the peer has authenticated or the connection has ended; nothing is ever sent on this channel.
    let _ = greeted.await;
    Ok(id)
}
