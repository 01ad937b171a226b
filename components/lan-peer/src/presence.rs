//! That we are here, told to everybody every [`PRESENCE_EVERY`]; and who else is.
//!
//! The life of a datagram: the system's buffer holds it, and drops what does not fit; we read at most [`BATCH`] at once and then
//! nothing for [`PAUSE`], so that a flood costs a bounded share of one processor; what means something goes to the book.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use kit::allowance::Allowance;
use protocol::lan::PeerKey;
use protocol::lan::datagram::{DATAGRAM_BYTES, Datagram, PRESENCE, PRESENCE_EVERY};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::Instant;

use crate::node::{Heard, Node};

/// Datagrams read at once.
const BATCH: usize = 128;
/// Nothing is read for this long after a batch, or after the last of fewer: 25,600 datagrams a second at most.
const PAUSE: Duration = Duration::from_millis(5);
/// Somebody who was not there before is told of us at once, at most this often a second, so that nobody can make us flood others.
const ANSWERS: u32 = 20;
/// A port that is taken is tried again after this.
const RETRY: Duration = Duration::from_secs(5);

/// Tells every network that we are here, for ever.
pub(crate) async fn announce(node: Arc<Node>) {
    let mut interfaces = node.interfaces.subscribe();
    let mut ticks = tokio::time::interval(PRESENCE_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // Another network: it is told at once.
            changed = interfaces.changed() => if changed.is_err() { return },
        }
        let now = interfaces.borrow_and_update().clone();
        for interface in now.iter() {
            let told = shout(interface.ip, Ipv4Addr::BROADCAST, node.config.udp_port)
                .or_else(|_| shout(interface.ip, interface.broadcast(), node.config.udp_port));
            note(&node, told);
        }
        for PeerKey::Old(ip) in node.config.given() {
            note(&node, shout(Ipv4Addr::UNSPECIFIED, ip, node.config.udp_port));
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
fn shout(from: Ipv4Addr, to: impl Into<IpAddr>, port: u16) -> std::io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_broadcast(true)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.send_to(PRESENCE, &SocketAddr::from((to.into(), port)).into()).map(drop)
}

/// Hears who else is there, for ever; where the port could not be opened, once it can.
pub(crate) async fn listen(node: Arc<Node>, mut opened: std::io::Result<UdpSocket>) {
    let mut answers = Allowance::new(ANSWERS, ANSWERS, Instant::now());
    loop {
        let error = match opened {
            Ok(socket) => hear(&node, &socket, &mut answers).await,
            Err(error) => error,
        };
        tracing::warn!(port = node.config.udp_port, %error, "cannot hear who else is on the network; trying again");
        tokio::time::sleep(RETRY).await;
        opened = open(node.config.udp_port);
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

async fn hear(node: &Node, socket: &UdpSocket, answers: &mut Allowance) -> std::io::Error {
    // One byte more than is read, to tell what is too long.
    let mut buffer = [0; DATAGRAM_BYTES + 1];
    loop {
        if let Err(error) = socket.readable().await {
            return error;
        }
        for _ in 0..BATCH {
            match socket.try_recv_from(&mut buffer) {
                Ok((length, from)) => take(node, socket, answers, &buffer[..length], from.ip()),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                // The answer to something that we sent, such as "nobody listens there".
                Err(_) => node.counters.datagrams_ignored.add(1),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn take(node: &Node, socket: &UdpSocket, answers: &mut Allowance, bytes: &[u8], from: IpAddr) {
    node.counters.datagrams.add(1);
    match Datagram::parse(bytes) {
        Some(Datagram::Presence) => match node.heard(from) {
            Heard::New => {
                if answers.take(Instant::now()).is_ok() {
                    let to = SocketAddr::new(from, node.config.udp_port);
                    note(node, socket.try_send_to(PRESENCE, to).map(drop));
                }
            }
            Heard::Known => {}
            Heard::Nobody => node.counters.datagrams_ignored.add(1),
            Heard::NoRoom => node.counters.peers_refused.add(1),
        },
        None => node.counters.datagrams_ignored.add(1),
    }
}
