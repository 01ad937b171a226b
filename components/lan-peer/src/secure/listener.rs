//! Accepts connections of nodes: a handshake, then a session. Those not finished within [`HANDSHAKE`](super::handshakes::HANDSHAKE) are
//! closed. Until they authenticate they use one of the few places of [`super::handshakes`], then one by their key (see [`super::links`]).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use kit::listen::ListenError;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::handshakes::Handshake;
use super::session::{self, Greeting, Peer, SessionError};
use super::tls::peer_id;
use crate::accept_limit::AcceptLimit;
use crate::node::Node;

/// Handshakes per second from one address, sustained: each costs about a millisecond of processor time.
const RATE: u32 = 4;
const BURST: u32 = 16;
/// A connection is closed when sent data is not acknowledged for this long (RFC 5482).
#[cfg(target_os = "linux")]
const UNTAKEN: Duration = Duration::from_secs(5);

/// Opens the port, or any other if it is in use, because the port is announced anyway. IPv6 and IPv4 if available.
pub(crate) async fn open(port: u16) -> Result<TcpListener, ListenError> {
    let mut last = None;
    for address in [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)] {
        for port in [port, 0] {
            match kit::listen::bind((address, port).into()).await {
                Ok(listener) => return Ok(listener),
                Err(error) => last = Some(error),
            }
        }
    }
    Err(last.expect("something was tried"))
}

/// Accepts connections, for ever.
pub(crate) async fn listen(node: Arc<Node>, listener: TcpListener) {
    let mut accept_limit = AcceptLimit::new(RATE, BURST);
    AcceptLimit::shorten(&listener);
    loop {
        let (is_familiar, refused) = (|ip| node.is_familiar_place(ip), &node.counters.refused);
        let place = |ip, is_familiar| node.handshakes.begin(ip, is_familiar);
        let (stream, ip, place) = accept_limit.admit(&listener, refused, is_familiar, place).await;
        let served = Arc::clone(&node);
        node.spawn(async move {
            if let Err(error) = serve(&served, stream, place).await {
                log(&served, ip, &error);
            }
        });
    }
}

async fn serve(node: &Node, stream: TcpStream, place: Handshake) -> Result<(), SessionError> {
    let (remote, local) = prepare(&stream)?;
    let acceptor = TlsAcceptor::from(node.tls.server());
    let accepted = place.until_cut(timeout(place.patience(), acceptor.accept(stream))).await;
    let stream = accepted.ok_or(SessionError::Crowded)?.map_err(|_| SessionError::Silent)??;
    let id = peer_id(stream.get_ref().1.peer_certificates()).ok_or(SessionError::Protocol("no key"))?;
    if id == node.me {
        return Err(SessionError::Protocol("they are us"));
    }
    if node.is_blocked(id) {
        return Err(SessionError::Blocked);
    }
    place.proved(!node.is_stranger(id));
    session::run(node, stream, Peer { id, remote, local, dialled: false }, Greeting::Awaited(place)).await
}

/// Sets socket options; returns both addresses.
pub(super) fn prepare(stream: &TcpStream) -> std::io::Result<(SocketAddr, IpAddr)> {
    stream.set_nodelay(true)?;
    // Other systems use their default timeout.
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(UNTAKEN))?;
    let mut remote = stream.peer_addr()?;
    // IPv4-mapped addresses become IPv4; link-local ones keep their interface.
    if let ip @ IpAddr::V4(_) = remote.ip().to_canonical() {
        remote.set_ip(ip);
    }
    Ok((remote, stream.local_addr()?.ip().to_canonical()))
}

/// Logs why a connection ended, and counts the peer's faults.
pub(super) fn log(node: &Node, ip: IpAddr, error: &SessionError) {
    match error {
        SessionError::Refused(_) | SessionError::Renumbered => {}
        SessionError::Crowded => node.counters.refused.add(1),
        SessionError::Io(_) => node.counters.broken.add(1),
        SessionError::Store(error) => {
            node.counters.unstored.add(1);
            node.report_store_error(error);
        }
        SessionError::Frame(_)
        | SessionError::Protocol(_)
        | SessionError::Version(_)
        | SessionError::Silent
        | SessionError::Blocked => node.counters.faulty.add(1),
    }
    tracing::debug!(%ip, "a connection ended: {}", kit::failure::chain(error));
}
