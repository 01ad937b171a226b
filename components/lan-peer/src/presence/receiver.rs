//! Hears who else is there.
//!
//! The life of a datagram: the system's buffer holds it, and drops what does not fit; we read at most [`BATCH`] at once, by IPv4 and
//! IPv6 together, and then nothing for [`PAUSE`] or [`LONG_PAUSE`], so that a flood costs a bounded share of one processor; what means
//! something goes to the book, or to the dialler.

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
use crate::node::{Heard, Node};

/// Datagrams read at once.
const BATCH: usize = 200;
/// So many or more at once are a flood.
const FLOOD: usize = 16;
/// Nothing is read for this long after all that was there.
const PAUSE: Duration = Duration::from_millis(5);
/// The same in a flood: 10,000 datagrams a second at most, fifteen times what a network of a thousand machines says.
const LONG_PAUSE: Duration = Duration::from_millis(20);
/// Of those, so many a second may be beacons; to read one costs more than presence does. Overflow rule: further ones are passed over.
const BEACONS: u32 = 500;
/// Somebody who was not there before is told of us at once, at most this often a second; beyond that all are told together.
const ANSWERS: u32 = 20;
/// Nodes whose start was not heard of before, a second; a flood of them is not to keep the dialler busy. Overflow rule: further ones are
/// passed over, and hear of us by the next announcement.
const NEW: u32 = 200;
/// Nodes that are asked whether they are where their beacons come from, a second; and answers to that question. A question is a little
/// longer than the beacon that it answers, so whoever forges beacons gains nothing by it. Overflow rule: further ones are passed over, and
/// the next beacon is as good.
const QUESTIONS: u32 = 100;
/// Starts of nodes that were answered. Overflow rule: all are forgotten, and answered once more.
const ANSWERED: usize = 1024;
/// A port that is taken is tried again after this.
const RETRY: Duration = Duration::from_secs(5);

/// Hears who else is there, for ever; where the port could not be opened, once it can.
pub(crate) async fn run(node: Arc<Node>, mut opened: std::io::Result<Sockets>) {
    let now = Instant::now();
    let [answers, beacons, fresh, asked, told] =
        [ANSWERS, BEACONS, NEW, QUESTIONS, QUESTIONS].map(|rate| Allowance::new(rate, rate, now));
    let (answered, ours) = (HashMap::new(), HashSet::new());
    let mut ear = Ear { node, answers, beacons, fresh, asked, told, answered, ours };
    loop {
        let port = ear.node.config.udp_port;
        let error = match opened {
            Ok(sockets) => {
                ear.node.troubles().deaf = None;
                ear.hear(sockets).await
            }
            Err(error) => error,
        };
        ear.node.troubles().deaf = Some(error.to_string());
        tracing::warn!(port, %error, "cannot receive presence announcements; retrying");
        tokio::time::sleep(RETRY).await;
        opened = open(port);
    }
}

struct Ear {
    node: Arc<Node>,
    answers: Allowance,
    beacons: Allowance,
    fresh: Allowance,
    asked: Allowance,
    told: Allowance,
    /// Which start of a node was answered.
    answered: HashMap<NodeId, u64>,
    /// Where nodes of ours say that they are; they need no answer as to the old kind.
    ours: HashSet<IpAddr>,
}

impl Ear {
    async fn hear(&mut self, mut sockets: Sockets) -> std::io::Error {
        let mut interfaces = self.node.interfaces.subscribe();
        sockets.join(&interfaces.borrow_and_update().segments());
        loop {
            tokio::select! {
                ready = sockets.readable() => if let Err(error) = ready {
                    return error;
                },
                // The list lives as long as the node, which we hold.
                _ = interfaces.changed() => sockets.join(&interfaces.borrow_and_update().segments()),
            }
            if self.read(&sockets) < FLOOD {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            sockets = match sockets.rest(LONG_PAUSE).await {
                Ok(rested) => rested,
                Err(error) => return error,
            };
        }
    }

    /// All that is there, as far as a batch goes. Returns how many.
    fn read(&mut self, sockets: &Sockets) -> usize {
        // One byte more than is read, to tell what is too long.
        let mut buffer = [0; DATAGRAM_BYTES + 1];
        for count in 0..BATCH {
            match sockets.read(&mut buffer, count % 2 == 1) {
                Ok((length, from)) => self.take(sockets, &buffer[..length], from),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return count,
                // The answer to something that we sent, such as "nobody listens there".
                Err(_) => self.node.counters.datagrams_ignored.add(1),
            }
        }
        BATCH
    }

    fn take(&mut self, sockets: &Sockets, bytes: &[u8], from: SocketAddr) {
        let counters = &self.node.counters;
        counters.datagrams.add(1);
        if self.node.interfaces.borrow().are_at(from.ip()) {
            // The system hands back what goes to everybody; the doctor wants to know.
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
        match node.heard(from.ip(), Evidence::Presence) {
            Heard::New => {
                node.counters.datagrams_others.add(1);
                if !self.ours.contains(&from.ip()) {
                    self.answer(sockets, PRESENCE, from);
                }
            }
            Heard::Known => node.counters.datagrams_others.add(1),
            Heard::Nobody => node.counters.datagrams_strange.add(1),
            Heard::NoRoom => node.counters.peers_refused.add(1),
        }
    }

    /// A node that has just started is told of us at once; one that we have to dial is asked first whether it is there.
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
        // Of two nodes the lower one dials, so it is the one to ask.
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
