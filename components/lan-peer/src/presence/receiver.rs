//! Receives presence.
//!
//! The life of a datagram: the kernel buffers it, and drops what does not fit. At most [`BATCH`] datagrams are read at once, IPv4 and IPv6
//! together, then none for [`PAUSE`] or [`LONG_PAUSE`], so that a flood costs a bounded share of one processor. Valid ones go to the book
//! or to the dialler.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use kit::allowance::Allowance;
use protocol::lan::NodeId;
use protocol::lan::datagram::{Beacon, DATAGRAM_BYTES, Datagram, PRESENCE};
use tokio::time::Instant;

use super::sockets::Sockets;
use super::{note, open};
use crate::book::Evidence;
use crate::node::{Node, SightingResult};

/// Most datagrams read at once.
const BATCH: usize = 200;
/// This many at once count as a flood.
const FLOOD: usize = 16;
/// Pause after a batch.
const PAUSE: Duration = Duration::from_millis(5);
/// Pause during a flood: at most 10,000 datagrams per second, fifteen times the traffic of a network of a thousand machines.
const LONG_PAUSE: Duration = Duration::from_millis(20);
/// Most beacons processed per second; they cost more than presence. Overflow rule: further ones are ignored.
const BEACONS: u32 = 500;
/// Most immediate answers to new peers per second; beyond that all are answered together.
const ANSWERS: u32 = 20;
/// Most new node starts per second; bounds the dialler's work in a flood. Overflow rule: further ones are ignored, and learn of us from the
/// next announcement.
const NEW: u32 = 200;
/// Most challenges sent per second, and most answers to challenges. A challenge is only a little longer than the beacon that it answers, so
/// forged beacons gain no amplification. Overflow rule: further ones are ignored until the next beacon.
const QUESTIONS: u32 = 100;
/// Most node starts remembered as answered. Overflow rule: all are dropped, and answered again.
const ANSWERED: usize = 1024;
/// Delay before retrying a port that is in use.
const RETRY: Duration = Duration::from_secs(5);

/// Receives presence, for ever; retries if the port could not be opened.
pub(crate) async fn run(node: Arc<Node>, mut opened: std::io::Result<Sockets>) {
    let now = Instant::now();
    let [answers, beacons, fresh, asked, told] =
        [ANSWERS, BEACONS, NEW, QUESTIONS, QUESTIONS].map(|rate| Allowance::new(rate, rate, now));
    let (answered, ours) = (HashMap::new(), HashSet::new());
    let mut receiver = Receiver { node, answers, beacons, fresh, asked, told, answered, ours };
    loop {
        let port = receiver.node.config.udp_port;
        let error = match opened {
            Ok(sockets) => {
                receiver.node.troubles().presence_error = None;
                receiver.receive(sockets).await
            }
            Err(error) => error,
        };
        receiver.node.troubles().presence_error = Some(error.to_string());
        tracing::warn!(port, %error, "cannot receive presence announcements; retrying");
        tokio::time::sleep(RETRY).await;
        opened = open(port);
    }
}

struct Receiver {
    node: Arc<Node>,
    answers: Allowance,
    beacons: Allowance,
    fresh: Allowance,
    asked: Allowance,
    told: Allowance,
    /// The last answered start of each node.
    answered: HashMap<NodeId, u64>,
    /// Addresses that nodes claim; they are not answered as legacy peers.
    ours: HashSet<IpAddr>,
}

impl Receiver {
    async fn receive(&mut self, mut sockets: Sockets) -> std::io::Error {
        let mut interfaces = self.node.interfaces.subscribe();
        sockets.join(&interfaces.borrow_and_update().segments());
        loop {
            tokio::select! {
                ready = sockets.readable() => if let Err(error) = ready {
                    return error;
                },
                // The channel lives as long as the node, which we hold.
                _ = interfaces.changed() => sockets.join(&interfaces.borrow_and_update().segments()),
            }
            if self.read(&sockets) < FLOOD {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            sockets = match sockets.pause(LONG_PAUSE).await {
                Ok(rested) => rested,
                Err(error) => return error,
            };
        }
    }

    /// Reads up to a batch. Returns the number of datagrams.
    fn read(&mut self, sockets: &Sockets) -> usize {
        // One byte more than the limit, to detect longer ones.
        let mut buffer = [0; DATAGRAM_BYTES + 1];
        for count in 0..BATCH {
            match sockets.read(&mut buffer, count % 2 == 1) {
                Ok((length, from)) => self.take(sockets, &buffer[..length], from),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return count,
                // An ICMP error for something that we sent, such as "port unreachable".
                Err(_) => self.node.counters.datagrams_ignored.add(1),
            }
        }
        BATCH
    }

    fn take(&mut self, sockets: &Sockets, bytes: &[u8], from: SocketAddr) {
        let counters = &self.node.counters;
        counters.datagrams.add(1);
        if self.node.interfaces.borrow().are_at(from.ip()) {
            // The kernel loops broadcasts back; the doctor reports it.
            let own = if from.is_ipv4() { &counters.datagrams_own } else { &counters.datagrams_own_ipv6 };
            return own.add(1);
        }
        if bytes != PRESENCE && self.beacons.take(Instant::now()).is_err() {
            return counters.datagrams_ignored.add(1);
        }
        match Datagram::parse(bytes) {
            Some(Datagram::Presence) => self.presence(sockets, from),
            Some(Datagram::Beacon(beacon)) => self.beacon(sockets, beacon, from),
            None => counters.datagrams_ignored.add(1),
        }
    }

    fn presence(&mut self, sockets: &Sockets, from: SocketAddr) {
        let node = Arc::clone(&self.node);
        match node.record_sighting(from.ip(), Evidence::Presence) {
            SightingResult::New => {
                node.counters.datagrams_others.add(1);
                if !self.ours.contains(&from.ip()) {
                    self.answer(sockets, PRESENCE, from);
                }
            }
            SightingResult::Known => node.counters.datagrams_others.add(1),
            SightingResult::Nobody => node.counters.datagrams_strange.add(1),
            SightingResult::NoRoom => node.counters.peers_refused.add(1),
        }
    }

    /// Answers a node that has just started at once; one that we have to dial is challenged first.
    fn beacon(&mut self, sockets: &Sockets, beacon: Beacon, from: SocketAddr) {
        let Beacon { id, port, boot, ask, told } = beacon;
        let node = Arc::clone(&self.node);
        let number = node.proofs.number(from.ip(), &id);
        let (is_proved, is_new) = (told == Some(number), self.answered.get(&id) != Some(&boot));
        if is_new && !is_proved && self.fresh.take(Instant::now()).is_err() {
            node.counters.peers_refused.add(1);
            return node.crowd.notify_one();
        }
        let mut place = from;
        place.set_port(port);
        if id == node.me || !node.hint(id, place, is_proved) {
            return node.counters.datagrams_strange.add(1);
        }
        node.counters.datagrams_others.add(1);
        if self.answered.len().max(self.ours.len()) >= ANSWERED {
            self.answered.clear();
            self.ours.clear();
        }
        self.ours.insert(from.ip());
        self.answered.insert(id, boot);
        // Of two nodes the one with the lower id dials, so it sends the challenge.
        let is_to_ask =
            node.me < id && !is_proved && !node.links.has(id) && self.asked.take(Instant::now()).is_ok();
        let is_to_tell = ask.is_some() && self.told.take(Instant::now()).is_ok();
        if is_to_ask || is_to_tell {
            let answer = Beacon {
                ask: is_to_ask.then_some(number),
                told: ask.filter(|_| is_to_tell),
                ..node.beacon.clone()
            };
            self.reply(sockets, &answer.to_bytes(), from);
        } else if is_new {
            self.answer(sockets, &node.beacon.to_bytes(), from);
        }
    }

    fn answer(&mut self, sockets: &Sockets, bytes: &[u8], to: SocketAddr) {
        if self.answers.take(Instant::now()).is_ok() {
            self.reply(sockets, bytes, to);
        } else {
            self.node.crowd.notify_one();
        }
    }

    fn reply(&self, sockets: &Sockets, bytes: &[u8], mut to: SocketAddr) {
        to.set_port(self.node.config.udp_port);
        note(&self.node, sockets.answer(bytes, to));
    }
}
