//! Makes connections: to whom, at which addresses, and when.
//!
//! Addresses come from everywhere (beacons, mDNS, the configuration, where a peer was last) and are hints: a connection counts when the
//! other side has proved to be whom we meant. A hint alone makes hardly anybody connect: an address where nobody has shown to be is dialled
//! only after [`UNPROVED_LATER`], by [`UNPROVED`] a second on each network, so that forged hints cannot make us knock at every door. Of two nodes that hear of each other the one with the lower id dials at once and the other
//! [`POLITE`] later, or more where there are many for whoever comes to dial, and not while the first one's handshake goes on, so that
//! mostly there is one connection, and always at least one. Where there is IPv4 it is dialled before IPv6: an old program's presence has
//! an IPv4 address, too, and so it is known whose it is.
//!
//! Bounds: [`MAX_TARGETS`] peers with [`MAX_ADDRESSES`] addresses each, the proved one among them, [`MAX_UNPROVED`] of them without any
//! that is proved; [`DIALS`] dials at once, [`RATE`] a second. Overflow rule: a peer that was only hinted at is not added; its
//! announcement comes again.

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

/// Hints that may wait. Overflow rule: further ones are dropped; they come again.
pub(crate) const HINTS: usize = 256;
const MAX_TARGETS: usize = 512;
const MAX_ADDRESSES: usize = 4;
const MAX_UNPROVED: usize = 32;
const DIALS: usize = 32;
const RATE: u32 = 50;
/// Dials a second to addresses that nobody has proved, on one network, and at once. Older nodes prove none, nor does mDNS.
const UNPROVED: u32 = 2;
const UNPROVED_BURST: u32 = 4;
/// What such a dial waits for the proof, which takes two datagrams.
const UNPROVED_LATER: Duration = Duration::from_millis(200);
/// Peers that were never connected and that prove to be at one address: dials a second, and at once. One machine is seldom many nodes.
const ONE_ADDRESS: u32 = 2;
const ONE_ADDRESS_BURST: u32 = 16;
/// Networks and addresses whose dials are counted.
const COUNTED: usize = 1024;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(2);
/// What the higher id waits for the lower one,
const POLITE: Duration = Duration::from_millis(300);
/// and so much more for each node that was heard of, for a newcomer has all of them to dial; a dial too many is what both can least
/// afford then;
const POLITE_EACH: Duration = Duration::from_millis(10);
/// but no longer than this.
const POLITEST: Duration = Duration::from_millis(900);
/// What an IPv6 address waits for an IPv4 one, which is told in the same moment.
const IPV6_LATER: Duration = Duration::from_millis(30);
/// Nobody is dialled more often, whatever is hinted.
const APART: Duration = Duration::from_millis(500);
/// Somebody who is connected is dialled at another address at most this often.
const ELSEWHERE: Duration = Duration::from_secs(3);
/// The longest pause before somebody who was there lately, or for whom something waits, is tried again.
const SOON: Duration = Duration::from_secs(2);
/// The same for the others.
const LATE: Duration = Duration::from_secs(60);
/// How long somebody was there lately.
const LATELY: Duration = Duration::from_secs(600);
/// A peer that was only hinted at is forgotten after so many failures,
const FAILURES: u32 = 5;
/// or sooner when nobody has shown to be at its address.
const UNPROVED_FAILURES: u32 = 2;
/// Due dials are looked for at least this often, for connections end without telling us,
const LONGEST: Duration = Duration::from_millis(250);
/// and at most this often.
const SHORTEST: Duration = Duration::from_millis(10);

/// Whom to dial.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Whom {
    /// Whoever holds this key.
    Node(NodeId),
    /// Whoever is at this place of the configuration.
    Place(Place),
}

/// Where a peer may be.
#[derive(Debug, Clone, Copy)]
struct Address {
    place: SocketAddr,
    /// Whether somebody there has said so, or was connected from there.
    is_proved: bool,
}

#[derive(Debug)]
struct Target {
    /// The one from which it was connected last is first and stays.
    addresses: Vec<Address>,
    /// Whether we know more of it than a hint.
    is_known: bool,
    /// Of a place: who was there.
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

    /// It may be at this address, behind the one from which it was connected. Returns whether that is news.
    fn add(&mut self, address: Address) -> bool {
        if let Some(known) = self.addresses.iter_mut().find(|known| known.place == address.place) {
            let is_news = address.is_proved && !known.is_proved;
            known.is_proved |= address.is_proved;
            return is_news;
        }
        let first = usize::from(!self.addresses.is_empty() && self.linked.is_some());
        self.addresses.insert(first, address);
        // What is proved is kept, whatever else is hinted at.
        self.addresses[first..].sort_by_key(|one| (!one.is_proved, one.place.is_ipv6()));
        self.addresses.truncate(MAX_ADDRESSES);
        self.failures = 0;
        true
    }

    /// Whether anything but hints is known of it.
    fn is_proved(&self) -> bool {
        self.is_known || self.linked.is_some() || self.addresses.iter().any(|address| address.is_proved)
    }

    /// The addresses to dial now: those that are proved; when they fail, one that is not, too.
    fn due(&self) -> (Vec<SocketAddr>, Option<SocketAddr>) {
        let of = |is_proved| {
            self.addresses.iter().filter(move |one| one.is_proved == is_proved).map(|address| address.place)
        };
        let proved: Vec<SocketAddr> = of(true).collect();
        let hinted = of(false).next().filter(|_| proved.is_empty() || self.failures > 0);
        (proved, hinted)
    }

    /// The next pause, with jitter so that not everybody comes at once.
    fn pause(&self, now: Instant) -> Duration {
        let is_eager = self.is_wanted || self.linked.is_some_and(|at| now.duration_since(at) < LATELY);
        let longest = if is_eager { SOON } else { LATE };
        let pause = Duration::from_millis(250)
            .saturating_mul(2u32.saturating_pow(self.failures.min(16)))
            .min(longest);
        pause.mul_f64(0.75 + unit_random() / 4.0)
    }
}

/// Whom was dialled, and who was there, if somebody was.
type Done = (Whom, Option<NodeId>);

struct Dialler {
    node: Arc<Node>,
    targets: HashMap<Whom, Target>,
    dials: JoinSet<Done>,
    allowance: Allowance,
    /// Dials to addresses that are only hints, by the network: the number of our interface there.
    unproved: Allowances<u32>,
    /// Dials to peers that were never connected, by the address at which they prove to be.
    by_address: Allowances<IpAddr>,
    /// When due dials were looked for, and when to look again.
    looked: Instant,
    look: Instant,
}

/// Dials, for ever.
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
                Some(Hint::Met(id, place)) => dialler.met(id, place, Instant::now()),
                Some(Hint::Wanted(id)) => dialler.wanted(id, Instant::now()),
                None => return,
            },
            Some(Ok(done)) = dialler.dials.join_next() => dialler.done(done, Instant::now()),
            () = tokio::time::sleep_until(dialler.look) => dialler.dial_due(Instant::now()),
        }
    }
}

impl Dialler {
    /// Who was known at the start, and the places of the configuration.
    fn remember(&mut self, now: Instant) {
        for (id, addresses) in self.node.known_addresses() {
            let addresses = addresses.into_iter().map(|place| Address { place, is_proved: true }).collect();
            let target = Target { addresses, is_known: true, linked: Some(now), ..Target::new(now) };
            self.targets.insert(Whom::Node(id), target);
        }
        for place in self.node.config.places() {
            self.targets.insert(Whom::Place(place), Target { is_known: true, ..Target::new(now) });
        }
    }

    fn has_room_for(&self, whom: &Whom, is_proved: bool) -> bool {
        if self.targets.contains_key(whom) {
            return true;
        }
        let unproved = || self.targets.values().filter(|target| !target.is_proved()).count();
        self.targets.len() < MAX_TARGETS && (is_proved || unproved() < MAX_UNPROVED)
    }

    fn hint(&mut self, id: NodeId, address: Address, now: Instant) {
        let whom = Whom::Node(id);
        let Address { place, is_proved } = address;
        let link = self.node.links.of(id);
        let is_there = link.as_ref().is_some_and(|link| link.remote.ip() == place.ip());
        if is_there || !self.has_room_for(&whom, is_proved) {
            return;
        }
        let wait = polite(self.node.me, id, patience(self.targets.len()))
            + if place.is_ipv6() { IPV6_LATER } else { Duration::ZERO }
            + if is_proved { Duration::ZERO } else { UNPROVED_LATER };
        let target = self.targets.entry(whom).or_insert_with(|| Target::new(now + wait));
        let is_new = target.add(address);
        let apart = if link.is_some() { ELSEWHERE } else { APART };
        let earliest = target.tried.map_or(now, |tried| tried + apart);
        target.next = target.next.min((now + wait).max(earliest));
        let next = target.next;
        // A machine with two networks, or with IPv6 beside IPv4, is at several places at once, and one connection is enough.
        let has_moved = link.is_some_and(|link| is_new && kind(link.remote.ip()) == kind(place.ip()));
        if has_moved && is_proved && now >= earliest && !target.is_dialling {
            // They say that they are elsewhere now, though the old connection has not ended: see whether it is so.
            target.tried = Some(now);
            target.is_dialling = true;
            self.spawn(Whom::Node(id), vec![place]);
        }
        self.look_at(next);
    }

    /// Something is due then.
    fn look_at(&mut self, next: Instant) {
        self.look = self.look.min(next.max(self.looked + SHORTEST));
    }

    fn met(&mut self, id: NodeId, place: SocketAddr, now: Instant) {
        let whom = Whom::Node(id);
        if self.has_room_for(&whom, true) {
            let target = self.targets.entry(whom).or_insert_with(|| Target::new(now));
            target.addresses.retain(|address| address.place != place);
            target.addresses.insert(0, Address { place, is_proved: true });
            target.addresses.truncate(MAX_ADDRESSES);
            target.linked = Some(now);
        }
    }

    fn wanted(&mut self, id: NodeId, now: Instant) {
        if let Some(target) = self.targets.get_mut(&Whom::Node(id)) {
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
        self.targets.retain(|whom, target| {
            let id = match whom {
                Whom::Node(id) => Some(*id),
                Whom::Place(_) => target.who,
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
                    due.push(whom.clone());
                }
            }
            let was_there_lately = target.linked.is_some_and(|at| now.duration_since(at) < LATELY);
            target.is_known
                || was_there_lately
                || target.failures < if target.is_proved() { FAILURES } else { UNPROVED_FAILURES }
                || target.is_dialling
                || (target.linked.is_some() && id.is_some_and(|id| !node.is_stranger(id)))
        });
        let nodes = self.targets.keys().filter(|whom| matches!(whom, Whom::Node(_))).count();
        self.node.found.store(nodes, Ordering::Relaxed);
        (self.looked, self.look) = (now, self.next_look(now));
        for whom in due {
            if self.dials.len() >= DIALS || self.allowance.take(now).is_err() {
                return;
            }
            let addresses = self.allowed(&whom, now);
            let Some(target) = self.targets.get_mut(&whom) else { continue };
            if addresses.is_empty() && matches!(whom, Whom::Node(_)) {
                target.next = now + LONGEST;
                continue;
            }
            (target.is_dialling, target.tried) = (true, Some(now));
            self.spawn(whom, addresses);
        }
    }

    /// Where a peer may be dialled now: everywhere that was proved, and at one place that was not as far as the network's allowance goes.
    fn allowed(&mut self, whom: &Whom, now: Instant) -> Vec<SocketAddr> {
        let Some(target) = self.targets.get(whom) else { return Vec::new() };
        let (mut addresses, hinted) = target.due();
        if target.linked.is_none() && !target.is_known {
            addresses.retain(|place| self.by_address.take(place.ip(), now).is_ok());
        }
        let network =
            |place: &SocketAddr| self.node.interfaces.borrow().way_to(place.ip()).map(|way| way.index);
        let is_within =
            |place: &SocketAddr| network(place).is_some_and(|index| self.unproved.take(index, now).is_ok());
        addresses.extend(hinted.filter(is_within));
        addresses
    }

    /// When to look for due dials again.
    fn next_look(&self, now: Instant) -> Instant {
        let waiting = self.targets.values().filter(|target| !target.is_dialling && target.next > now);
        let first = waiting.map(|target| target.next).min().unwrap_or(now + LONGEST);
        first.clamp(now + SHORTEST, now + LONGEST)
    }

    fn spawn(&mut self, whom: Whom, addresses: Vec<SocketAddr>) {
        let node = Arc::clone(&self.node);
        self.dials.spawn(async move {
            let found = match &whom {
                Whom::Node(id) if node.is_blocked(*id) => None,
                Whom::Node(id) => {
                    // One that is on another network now is somebody else's behind the default route.
                    let is_free = |address: &SocketAddr| {
                        node.can_be_dialled(address.ip()) && !node.is_place_of_another(*id, *address)
                    };
                    let addresses: Vec<SocketAddr> = addresses.into_iter().filter(is_free).collect();
                    dial_any(&node, Some(*id), &addresses).await
                }
                Whom::Place(place) => {
                    let found =
                        timeout(CONNECT, tokio::net::lookup_host((place.host.as_str(), place.port))).await;
                    let addresses: Vec<SocketAddr> = match found {
                        Ok(Ok(found)) => found.take(MAX_ADDRESSES).collect(),
                        Ok(Err(_)) | Err(_) => Vec::new(),
                    };
                    dial_any(&node, place.id, &addresses).await
                }
            };
            (whom, found)
        });
    }

    fn done(&mut self, (whom, found): Done, now: Instant) {
        let Some(target) = self.targets.get_mut(&whom) else { return };
        target.is_dialling = false;
        match found {
            Some(id) => {
                target.who = Some(id);
                // The session has the time of a handshake to say who it is; then it counts as linked, or is tried again.
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

/// How long we wait for this peer to dial us.
fn polite(me: NodeId, peer: NodeId, patience: Duration) -> Duration {
    if me < peer { Duration::ZERO } else { patience }
}

/// How long the higher id waits for the lower one where so many have been heard of.
fn patience(nodes: usize) -> Duration {
    (POLITE + POLITE_EACH * u32::try_from(nodes).unwrap_or(u32::MAX).min(1000)).min(POLITEST)
}

/// Addresses of one kind on one network are one machine's only one after the other, as a rule.
fn kind(ip: IpAddr) -> (bool, bool) {
    (ip.is_ipv4(), matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()))
}

/// The first address at which somebody proves to be whom we meant.
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

/// Whether the handshake ended because of whom it proved the other side to be.
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
    // It counts as a dial until they have said who they are, or the connection has ended before: nothing is ever sent.
    let _ = greeted.await;
    Ok(id)
}
