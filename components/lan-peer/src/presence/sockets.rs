//! The sockets of presence: one each for IPv4 and IPv6 that receives and answers, and one for each announcement.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use protocol::lan::datagram::GROUP;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use crate::interfaces::Segment;

/// The receiving sockets.
#[derive(Debug)]
pub(crate) struct Sockets {
    v4: UdpSocket,
    /// `None` if the system has no IPv6.
    v6: Option<UdpSocket>,
}

/// Opens the port, shared with other programs on this machine that receive presence.
pub(crate) fn open(port: u16) -> std::io::Result<Sockets> {
    let v4 = bind(Ipv4Addr::UNSPECIFIED.into(), port)?;
    let v6 = bind(Ipv6Addr::UNSPECIFIED.into(), port)
        .inspect_err(|error| tracing::info!(port, %error, "no beacons by IPv6"))
        .ok();
    Ok(Sockets { v4, v6 })
}

fn bind(ip: IpAddr, port: u16) -> std::io::Result<UdpSocket> {
    let address = SocketAddr::new(ip, port);
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if ip.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A best-effort request: room for a burst, limited by the kernel.
    let _ = socket.set_recv_buffer_size(1 << 20);
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

impl Sockets {
    /// Joins the multicast group on these interfaces. Removed interfaces lose their membership by themselves.
    pub(super) fn join(&self, segments: &[Segment]) {
        let Some(v6) = &self.v6 else { return };
        for Segment { index, .. } in segments {
            match SockRef::from(v6).join_multicast_v6(&GROUP, *index) {
                Ok(()) => {}
                // Already a member.
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => tracing::info!(index, %error, "no beacons by IPv6 on this interface"),
            }
        }
    }

    /// Pauses without any readiness notifications: in a flood each datagram would wake the task, which costs more than reading it.
    pub(super) async fn pause(self, pause: Duration) -> std::io::Result<Self> {
        let (v4, v6) = (self.v4.into_std()?, self.v6.map(UdpSocket::into_std).transpose()?);
        tokio::time::sleep(pause).await;
        Ok(Self { v4: UdpSocket::from_std(v4)?, v6: v6.map(UdpSocket::from_std).transpose()? })
    }

    /// Waits until there is something to read.
    pub(super) async fn readable(&self) -> std::io::Result<()> {
        match &self.v6 {
            Some(v6) => tokio::select! {
                ready = self.v4.readable() => ready,
                ready = v6.readable() => ready,
            },
            None => self.v4.readable().await,
        }
    }

    /// The next datagram: its length and sender. IPv4 and IPv6 alternate, so that a flood on one does not starve the other.
    pub(super) fn read(&self, buffer: &mut [u8], is_v6_first: bool) -> std::io::Result<(usize, SocketAddr)> {
        let Some(v6) = &self.v6 else { return self.v4.try_recv_from(buffer) };
        let (first, second) = if is_v6_first { (v6, &self.v4) } else { (&self.v4, v6) };
        match first.try_recv_from(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => second.try_recv_from(buffer),
            read => read,
        }
    }

    /// Answers to one address.
    pub(super) fn answer(&self, bytes: &[u8], to: SocketAddr) -> std::io::Result<()> {
        let socket = if to.is_ipv6() { self.v6.as_ref() } else { Some(&self.v4) };
        socket.ok_or(ErrorKind::Unsupported)?.try_send_to(bytes, to).map(drop)
    }
}

/// Sends one datagram from this address of ours, which selects the network.
pub(super) fn send_once(from: IpAddr, to: SocketAddr, bytes: &[u8]) -> std::io::Result<()> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if to.is_ipv4() {
        socket.set_broadcast(true)?;
    }
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.send_to(bytes, &to.into()).map(drop)
}
