//! That we are here, told to everybody every [`PRESENCE_EVERY`], and every fifth time with our beacon; and who else is.
//!
//! The life of a datagram: the system's buffer holds it, and drops what does not fit; we read at most [`BATCH`] at once and then
//! nothing for [`PAUSE`] or [`LONG_PAUSE`], so that a flood costs a bounded share of one processor; what means something goes to the
//! book.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use kit::allowance::Allowance;
use protocol::lan::NodeId;
use protocol::lan::datagram::{Beacon, DATAGRAM_BYTES, Datagram, PRESENCE, PRESENCE_EVERY};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::Instant;

use crate::interfaces::Broadcast;
use crate::node::{Heard, Node};

/// Datagrams read at once.
const BATCH: usize = 160;
/// So many or more at once are a flood.
const FLOOD: usize = 16;
/// Nothing is read for this long after all that was there.
const PAUSE: Duration = Duration::from_millis(5);
/// The same in a flood: 8,000 datagrams a second at most, ten times what a network of a thousand machines says.
const LONG_PAUSE: Duration = Duration::from_millis(20);
/// Somebody who was not there before is told of us at once, at most this often a second, so that nobody can make us flood others.
const ANSWERS: u32 = 20;
/// Of so many announcements one is with our beacon; connections tell the rest.
const BEACON_EVERY: u32 = 5;
/// After a start or a change of network this many are.
const BEACONS_AT_FIRST: u32 = 2;
/// Starts of nodes that were answered. Overflow rule: all are forgotten, and answered once more.
const ANSWERED: usize = 1024;
/// A port that is taken is tried again after this.
const RETRY: Duration = Duration::from_secs(5);

/// Tells every network that we are here, for ever.
pub(crate) async fn announce(node: Arc<Node>) {
    let mut interfaces = node.interfaces.subscribe();
    let mut ticks = tokio::time::interval(PRESENCE_EVERY);
    let mut count = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // Another network: it is told at once.
            changed = interfaces.changed() => match changed {
                Ok(()) => count = 0,
                Err(_) => return,
            },
        }
        let now = interfaces.borrow_and_update().clone();
        let with_beacon = count < BEACONS_AT_FIRST || count % BEACON_EVERY == 0;
        count += 1;
        for Broadcast { from, to } in now.broadcasts() {
            for bytes in [Some(PRESENCE), with_beacon.then_some(&*node.beacon)].into_iter().flatten() {
                let told = shout(from, Ipv4Addr::BROADCAST, node.config.udp_port, bytes)
                    .or_else(|_| shout(from, to, node.config.udp_port, bytes));
                note(&node, told);
            }
        }
        for ip in node.config.old() {
            note(&node, shout(Ipv4Addr::UNSPECIFIED, ip, node.config.udp_port, PRESENCE));
        }
    }
}

/// A network that cannot be reached now may be the next time.
fn note(node: &Node, told: std::io::Result<()>) {
    if let Err(error) = told {
        node.counters.datagrams_unsent.add(1);
        tracing::debug!(%error, "presence not sent");
    }
}

/// From this address of ours, which is what makes the system choose the network.
fn shout(from: Ipv4Addr, to: impl Into<IpAddr>, port: u16, bytes: &[u8]) -> std::io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_broadcast(true)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.send_to(bytes, &SocketAddr::from((to.into(), port)).into()).map(drop)
}

/// Hears who else is there, for ever; where the port could not be opened, once it can.
pub(crate) async fn listen(node: Arc<Node>, mut opened: std::io::Result<UdpSocket>) {
    let answers = Allowance::new(ANSWERS, ANSWERS, Instant::now());
    let mut ear = Ear { node, answers, answered: HashMap::new() };
    loop {
        let port = ear.node.config.udp_port;
        let error = match opened {
            Ok(socket) => {
                ear.node.troubles().deaf = None;
                ear.hear(&socket).await
            }
            Err(error) => error,
        };
        ear.node.troubles().deaf = Some(error.to_string());
        tracing::warn!(port, %error, "cannot hear who else is on the network; trying again");
        tokio::time::sleep(RETRY).await;
        opened = open(port);
    }
}

/// Opens the port; another program of this machine that hears presence may have it, too.
pub(crate) fn open(port: u16) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    // What the system gives of it; it is room for a burst, and bounded by the system.
    let _ = socket.set_recv_buffer_size(1 << 20);
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    UdpSocket::from_std(socket.into())
}

struct Ear {
    node: Arc<Node>,
    answers: Allowance,
    /// Which start of a node was answered.
    answered: HashMap<NodeId, u64>,
}

impl Ear {
    async fn hear(&mut self, socket: &UdpSocket) -> std::io::Error {
        // One byte more than is read, to tell what is too long.
        let mut buffer = [0; DATAGRAM_BYTES + 1];
        loop {
            if let Err(error) = socket.readable().await {
                return error;
            }
            let mut read = 0;
            while read < BATCH {
                match socket.try_recv_from(&mut buffer) {
                    Ok((length, from)) => self.take(socket, &buffer[..length], from.ip()),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    // The answer to something that we sent, such as "nobody listens there".
                    Err(_) => self.node.counters.datagrams_ignored.add(1),
                }
                read += 1;
            }
            tokio::time::sleep(if read < FLOOD { PAUSE } else { LONG_PAUSE }).await;
        }
    }

    fn take(&mut self, socket: &UdpSocket, bytes: &[u8], from: IpAddr) {
        let counters = &self.node.counters;
        counters.datagrams.add(1);
        if self.node.interfaces.borrow().are_at(from) {
            // The system hands broadcasts back; the doctor wants to know.
            counters.datagrams_own.add(1);
            return;
        }
        match Datagram::parse(bytes) {
            Some(Datagram::Presence) => match self.node.heard(from) {
                Heard::New => {
                    counters.datagrams_others.add(1);
                    self.answer(socket, PRESENCE, from);
                }
                Heard::Known => counters.datagrams_others.add(1),
                Heard::Nobody => counters.datagrams_strange.add(1),
                Heard::NoRoom => counters.peers_refused.add(1),
            },
            Some(Datagram::Beacon(beacon)) => self.beacon(socket, beacon, from),
            None => counters.datagrams_ignored.add(1),
        }
    }

    /// A node that has just started is told of us at once.
    fn beacon(&mut self, socket: &UdpSocket, beacon: Beacon, from: IpAddr) {
        let Beacon { id, port, boot } = beacon;
        if id == self.node.me || !self.node.hint(id, SocketAddr::new(from, port)) {
            self.node.counters.datagrams_strange.add(1);
            return;
        }
        self.node.counters.datagrams_others.add(1);
        if self.answered.len() >= ANSWERED {
            self.answered.clear();
        }
        if self.answered.insert(id, boot) != Some(boot) {
            let node = Arc::clone(&self.node);
            self.answer(socket, &node.beacon, from);
        }
    }

    fn answer(&mut self, socket: &UdpSocket, bytes: &[u8], to: IpAddr) {
        if self.answers.take(Instant::now()).is_ok() {
            let to = SocketAddr::new(to, self.node.config.udp_port);
            note(&self.node, socket.try_send_to(bytes, to).map(drop));
        }
    }
}
