//! `SIOCOUTQ` without an `ioctl`: the kernel's socket monitoring reports the same number for one socket over netlink (`sock_diag(7)`:
//! `inet_diag_msg.idiag_wqueue`, which is `write_seq - snd_una`), with one datagram each way, answered before `send` returns. That needs no
//! privilege and no unsafe code. Where it is not available, every written byte counts as acknowledged, and a log message says so once.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use super::{Link, Pulse, Unacknowledged};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;
/// `nlmsghdr` and `inet_diag_req_v2`.
const REQUEST_BYTES: usize = 16 + 56;
/// `INET_DIAG_INFO`, as the requested extension and as the attribute in the response.
const INFO: u16 = 2;
/// Offset after `nlmsghdr` and `inet_diag_msg`.
const ATTRIBUTES_AT: usize = 16 + 72;
/// Offset of `tcpi_probes` in `tcp_info`: unanswered keepalives and zero-window probes.
const PROBES_AT: usize = 3;
/// Offset of `tcpi_unacked`: unacknowledged segments.
const UNACKED_AT: usize = 24;
/// Offset of `tcpi_last_ack_recv`: milliseconds since the last acknowledgement.
const LAST_ACK_AT: usize = 56;
/// Offset of `tcpi_rtt`: microseconds, 0 before the first measurement.
const ROUND_TRIP_AT: usize = 68;
/// Offset of `tcpi_total_retrans`.
const RETRANSMITTED_AT: usize = 100;
/// Offset of `idiag_wqueue`: after `nlmsghdr`, four bytes, `inet_diag_sockid`, `idiag_expires` and `idiag_rqueue`.
const WQUEUE_AT: usize = 16 + 4 + 48 + 4 + 4;

/// Queries the kernel about connections of this process.
#[derive(Debug)]
pub struct SendQueue {
    socket: Option<Mutex<Asker>>,
    complained: AtomicBool,
}

#[derive(Debug)]
struct Asker {
    socket: OwnedFd,
    sequence: u32,
}

impl SendQueue {
    /// Opens the netlink socket, if the system supports it.
    #[must_use]
    pub fn open() -> Self {
        let socket = Asker::open().map(Mutex::new);
        Self { socket: socket.ok(), complained: AtomicBool::new(false) }
    }

    /// The amount of output on this socket that is not acknowledged.
    #[must_use]
    pub fn ask(&self, socket: impl AsFd, local: SocketAddr, peer: SocketAddr) -> Unacknowledged {
        let bytes = |answer: &[u8]| u32_at(answer, WQUEUE_AT).ok_or(Errno::PROTO);
        match self.ask_kernel(socket, local, peer, 0, bytes) {
            Ok(bytes) => Unacknowledged::Bytes(bytes.into()),
            // If the connection no longer exists, the kernel finds nothing, the listening socket, or a later connection.
            Err(Errno::NOENT | Errno::STALE) => Unacknowledged::Gone,
            Err(error) => {
                if !self.complained.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "this system cannot report what a peer has acknowledged; written data counts as delivered");
                }
                Unacknowledged::Unknown
            }
        }
    }

    /// Signs of life of the peer's TCP. `None` if unavailable.
    #[must_use]
    pub fn pulse(&self, socket: impl AsFd, local: SocketAddr, peer: SocketAddr) -> Option<Pulse> {
        self.info(socket, local, peer, pulse)
    }

    /// The quality of the link to the peer. `None` if unavailable.
    #[must_use]
    pub fn link(&self, socket: impl AsFd, local: SocketAddr, peer: SocketAddr) -> Option<Link> {
        self.info(socket, local, peer, link)
    }

    /// Reads the connection's `tcp_info`.
    fn info<T>(
        &self,
        socket: impl AsFd,
        local: SocketAddr,
        peer: SocketAddr,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let extensions = 1 << (INFO - 1);
        let read = |answer: &[u8]| tcp_info(answer).and_then(read).ok_or(Errno::PROTO);
        self.ask_kernel(socket, local, peer, extensions, read).ok()
    }

    fn ask_kernel<T>(
        &self,
        socket: impl AsFd,
        local: SocketAddr,
        peer: SocketAddr,
        extensions: u8,
        read: impl FnOnce(&[u8]) -> rustix::io::Result<T>,
    ) -> rustix::io::Result<T> {
        let cookie = sockopt::socket_cookie(socket)?;
        let asker = self.socket.as_ref().ok_or(Errno::NOSYS)?;
        let mut asker = asker.lock().unwrap_or_else(PoisonError::into_inner);
        asker.ask(&|sequence| request(sequence, cookie, local, peer, extensions), read)
    }
}

impl Asker {
    fn open() -> rustix::io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(SOCK_DIAG))?;
        rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    fn ask<T>(
        &mut self,
        request: &dyn Fn(u32) -> [u8; REQUEST_BYTES],
        read: impl FnOnce(&[u8]) -> rustix::io::Result<T>,
    ) -> rustix::io::Result<T> {
        self.sequence = self.sequence.wrapping_add(1);
        rustix::net::send(&self.socket, &request(self.sequence), SendFlags::empty())?;
        let mut buffer = [0u8; 1024];
        // The answer to an earlier query may come first, left over after an error.
        for _ in 0..8 {
            let (_, length) = rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::empty())?;
            let answer = &buffer[..length.min(buffer.len())];
            if u32_at(answer, 8) == Some(self.sequence) {
                return check(answer).and_then(read);
            }
        }
        Err(Errno::PROTO)
    }
}

fn check(answer: &[u8]) -> rustix::io::Result<&[u8]> {
    match u16_at(answer, 4) {
        Some(SOCK_DIAG_BY_FAMILY) => Ok(answer),
        Some(NLMSG_ERROR) => {
            let code = u32_at(answer, 16).ok_or(Errno::PROTO)?.cast_signed();
            Err(Errno::from_raw_os_error(code.saturating_neg()))
        }
        Some(_) | None => Err(Errno::PROTO),
    }
}

/// The `tcp_info` among the attributes of an answer (`rtnetlink(7)`: length and type, then the value, padded to four bytes).
fn tcp_info(answer: &[u8]) -> Option<&[u8]> {
    let mut at = ATTRIBUTES_AT;
    loop {
        let length = usize::from(u16_at(answer, at)?);
        if u16_at(answer, at + 2)? == INFO {
            return answer.get(at + 4..at + length);
        }
        at += length.max(4).next_multiple_of(4);
    }
}

fn pulse(info: &[u8]) -> Option<Pulse> {
    let is_asked = *info.get(PROBES_AT)? > 0 || u32_at(info, UNACKED_AT)? > 0;
    Some(Pulse { heard: Duration::from_millis(u32_at(info, LAST_ACK_AT)?.into()), is_asked })
}

fn link(info: &[u8]) -> Option<Link> {
    let round_trip = Some(u32_at(info, ROUND_TRIP_AT)?).filter(|micros| *micros > 0);
    Some(Link {
        round_trip: round_trip.map(|micros| Duration::from_micros(micros.into())),
        retransmitted: u32_at(info, RETRANSMITTED_AT)?,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn request(
    sequence: u32,
    cookie: u64,
    local: SocketAddr,
    peer: SocketAddr,
    extensions: u8,
) -> [u8; REQUEST_BYTES] {
    let mut bytes = [0u8; REQUEST_BYTES];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    let family = if local.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    put(0, &(REQUEST_BYTES as u32).to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &NLM_F_REQUEST.to_ne_bytes());
    put(8, &sequence.to_ne_bytes());
    // inet_diag_req_v2: family, protocol, extensions, padding, states.
    put(16, &[u8::try_from(family.as_raw()).unwrap_or_default(), IPPROTO_TCP, extensions]);
    put(20, &u32::MAX.to_ne_bytes());
    // inet_diag_sockid: ports and addresses in network order, any interface, the cookie's lower half first.
    put(24, &local.port().to_be_bytes());
    put(26, &peer.port().to_be_bytes());
    put(28, &octets(local.ip()));
    put(44, &octets(peer.ip()));
    put(64, &(cookie as u32).to_ne_bytes());
    put(68, &((cookie >> 32) as u32).to_ne_bytes());
    bytes
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&ip.octets());
            octets
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn an_idle_peer_answers_a_keepalive_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, peer_address) = listener.accept().unwrap();
        let (local, queue) = (ours.local_addr().unwrap(), SendQueue::open());
        let heard = || queue.pulse(&ours, local, peer_address).unwrap().heard;
        let link = queue.link(&ours, local, peer_address).unwrap();
        let round_trip = link.round_trip.unwrap();
        assert!(round_trip < Duration::from_secs(1), "{round_trip:?} from here to here");
        assert_eq!(link.retransmitted, 0);
        while heard() < Duration::from_millis(1100) {
            std::thread::sleep(Duration::from_millis(50));
        }
        sockopt::set_socket_keepalive(&ours, true).unwrap();
        sockopt::set_tcp_keepidle(&ours, Duration::from_secs(1)).unwrap();
        while heard() >= Duration::from_millis(1100) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_handshake_that_had_to_be_sent_again_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        // Drops our answer: on this machine it arrives before `connect` returns.
        let drop_all = [socket2::SockFilter::new(6, 0, 0, 0)];
        client.attach_filter(&drop_all).unwrap();
        client.connect(&listener.local_addr().unwrap().into()).unwrap_err();
        client.detach_filter().unwrap();
        let (ours, peer) = listener.accept().unwrap();
        let link = SendQueue::open().link(&ours, ours.local_addr().unwrap(), peer).unwrap();
        assert!(link.retransmitted > 0, "{link:?}");
    }

    #[test]
    fn a_peer_without_room_owes_nothing_until_it_is_asked_and_one_that_vanished_does() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, peer_address) = listener.accept().unwrap();
        let (local, queue) = (ours.local_addr().unwrap(), SendQueue::open());
        let pulse = || queue.pulse(&ours, local, peer_address).unwrap();
        assert!(!pulse().is_asked);
        ours.set_nonblocking(true).unwrap();
        while (&ours).write(&[0; 65536]).is_ok() {}
        // Each probe is answered, and between two probes nothing is outstanding.
        while pulse().is_asked || pulse().heard < Duration::from_millis(300) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Drops all input from now on.
        let drop_all = [socket2::SockFilter::new(6, 0, 0, 0)];
        socket2::SockRef::from(&peer).attach_filter(&drop_all).unwrap();
        while !pulse().is_asked || pulse().heard < Duration::from_secs(1) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn the_kernel_tells_what_is_not_acknowledged() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut ours, peer_address) = listener.accept().unwrap();
            let local = ours.local_addr().unwrap();
            let queue = SendQueue::open();
            assert_eq!(queue.ask(&ours, local, peer_address), Unacknowledged::Bytes(0));
            // More than the peer's receive buffer takes while it does not read.
            ours.set_nonblocking(true).unwrap();
            while ours.write(&[0; 65536]).is_ok() {}
            let Unacknowledged::Bytes(waiting) = queue.ask(&ours, local, peer_address) else { panic!() };
            assert!(waiting > 0);
            let mut buffer = vec![0; 65536];
            while queue.ask(&ours, local, peer_address) != Unacknowledged::Bytes(0) {
                assert!(peer.read(&mut buffer).unwrap() > 0);
            }
            let other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            assert_eq!(queue.ask(&other, local, peer_address), Unacknowledged::Gone, "another socket");
            // Unread bytes turn the peer's close into a reset.
            ours.write_all(b"unread").unwrap();
            drop(peer);
            while queue.ask(&ours, local, peer_address) != Unacknowledged::Gone {
                std::thread::yield_now();
            }
        }
    }
}
