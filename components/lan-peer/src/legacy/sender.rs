//! Sends legacy messages: one connection per part, one after another, so that they arrive in order.
//!
//! There are no probes: a legacy program shows each connection as a message, even an empty one.
//!
//! Messages are unencrypted, so they are sent only through the interface of the peer's network and only while its presence arrives: an
//! address on none of our networks would belong to somebody behind the default route.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;
use std::time::Duration;

use protocol::Body;
use protocol::lan::PeerKey;
use protocol::lan::legacy::parts;
use protocol::lan::view::{Entry, State};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::interfaces::LocalRoute;
use crate::node::{Node, Route};
use crate::store::{Draft, StoreError};

/// Connect timeout; after it the peer counts as offline.
const CONNECT: Duration = Duration::from_secs(3);
/// How long to wait for the peer to close. Some never do; then this is time enough to have read.
const CLOSE: Duration = Duration::from_millis(150);

/// Sends a text, and stores its delivery state. Not retried: the address may be reassigned by then.
pub(crate) async fn send(node: &Node, ip: IpAddr, body: &Body) -> Result<Entry, StoreError> {
    let turn = node.send_locks.of(ip);
    let turn = turn.lock().await;
    let parts = parts(body);
    let mut gone = 0;
    let mut failure = None;
    for part in &parts {
        let sent = match node.route_to_legacy(ip) {
            Ok(route) => hand_over(route, (ip, node.config.tcp_port).into(), part.as_bytes()).await,
            Err(no_route) => Err(std::io::Error::other(no_route)),
        };
        match sent {
            Ok(()) => gone += 1,
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    drop(turn);
    let (state, remark) = match failure {
        None if parts.len() > 1 => (State::Sent, Some(format!("in {} parts", parts.len()))),
        None => (State::Sent, None),
        Some(error) if gone > 0 => {
            (State::Failed, Some(format!("{error}; {gone} of {} parts went out", parts.len())))
        }
        Some(error) => (State::Failed, Some(error.to_string())),
    };
    match state {
        State::Failed => node.counters.old_failed.add(1),
        State::Sent | State::Received | State::Queued | State::Delivered => node.counters.old_sent.add(1),
    }
    let draft = Draft { peer: PeerKey::Legacy(ip), body: body.as_str().to_owned(), state, remark };
    let entry = node.store.insert_message(draft).await?;
    node.record_message(entry.clone()).await?;
    Ok(entry)
}

/// In one segment, because the peer reads only once.
async fn hand_over(route: Route, to: SocketAddr, part: &[u8]) -> std::io::Result<()> {
    let mut stream = timeout(CONNECT, connect(route, to)).await??;
    stream.set_nodelay(true)?;
    timeout(CONNECT, stream.write_all(part)).await??;
    stream.shutdown().await?;
    // An answer, if any, is ignored.
    let _ = timeout(CLOSE, stream.read(&mut [0; 64])).await;
    Ok(())
}

async fn connect(route: Route, to: SocketAddr) -> std::io::Result<TcpStream> {
    match route {
        Route::Any => TcpStream::connect(to).await,
        Route::Through(way) => connect_through(way, to).await,
    }
}

/// Connects through one interface, or not at all.
async fn connect_through(way: LocalRoute, mut to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = match &mut to {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(to) => {
            if to.ip().is_unicast_link_local() {
                to.set_scope_id(way.index);
            }
            TcpSocket::new_v6()?
        }
    };
    if tie(&socket, way).is_err() {
        // Older systems require privileges for that; then the kernel's own route has to be the right one.
        is_route_through(way, to)?;
    }
    socket.bind(match way.from {
        IpAddr::V6(from) if from.is_unicast_link_local() => SocketAddrV6::new(from, 0, 0, way.index).into(),
        from => SocketAddr::new(from, 0),
    })?;
    socket.connect(to).await
}

/// Binds the socket to this interface, whatever the routes are.
fn tie(socket: &TcpSocket, way: LocalRoute) -> std::io::Result<()> {
    let index = NonZeroU32::new(way.index).ok_or(ErrorKind::NotFound)?;
    let socket = SockRef::from(socket);
    if way.from.is_ipv4() {
        socket.bind_device_by_index_v4(Some(index))
    } else {
        socket.bind_device_by_index_v6(Some(index))
    }
}

/// Whether the kernel's route starts at our address on that network; a connected UDP socket shows it without sending.
fn is_route_through(way: LocalRoute, to: SocketAddr) -> std::io::Result<()> {
    let probe = std::net::UdpSocket::bind(match way.from {
        IpAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        IpAddr::V6(_) => SocketAddr::from(([0u16; 8], 0)),
    })?;
    probe.connect(to)?;
    if probe.local_addr()?.ip() == way.from {
        return Ok(());
    }
    Err(std::io::Error::other(
        "the way there does not lead through the network that they were heard on; nothing was sent",
    ))
}
