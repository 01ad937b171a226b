//! Accepts connections within the connection limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::access::port::{Door, Port, reject};
use crate::connection::{self, Encryption};
use crate::server::Server;
use kit::places::{NoPlace, Places};
use kit::tls::accept::Acceptor;

/// Places beyond the configured ones for services on this machine (the probe, the thermometer, the bot, `launcher trace`) and for
/// connections that have yet to identify as one. Without them a client that takes every place would also hide whether the server works.
const SERVICE_PLACES: usize = 16;
/// Pause after a failed accept: if the system is out of files or memory, retrying at once would spin.
const PAUSE: Duration = Duration::from_millis(50);

/// The places that all ports share.
struct ConnectionLimits {
    general: Places,
    /// Overflow rule: the connection is rejected as by a full server.
    services: Places,
}

/// Accepts on every port until the server stops.
pub(crate) async fn accept(server: Arc<Server>, doors: Vec<Door>) {
    let places = ConnectionLimits {
        general: Places::new(server.config.max_connections, server.config.max_sessions_per_address),
        services: Places::new(SERVICE_PLACES, 0),
    };
    let accept = |door| accept_at(door, &server, &places);
    futures_util::future::join_all(doors.into_iter().map(accept)).await;
}

async fn accept_at(door: Door, server: &Arc<Server>, places: &ConnectionLimits) {
    let Door { port, listener, tls } = door;
    loop {
        let accepted = tokio::select! {
            () = server.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match (accepted, &tls) {
            (Ok((stream, peer)), None) => admit(port, server, places, stream, peer),
            (Ok((stream, peer)), Some(tls)) => {
                let admitted = admit_tls(tls, port, server, places, stream, peer);
                // While it waits for a place, others wait in the kernel's backlog.
                server.shutdown.run_until_cancelled(admitted).await;
            }
            (Err(error), _) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Takes a place among the connections, as without TLS, and one among the handshakes. Who gets none is told nothing: it would expect TLS.
async fn admit_tls(
    tls: &Acceptor,
    port: Port,
    server: &Arc<Server>,
    places: &ConnectionLimits,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let is_proxy = server.config.proxies.contains(&peer.ip().to_canonical());
    let place = if is_proxy { places.general.take_any() } else { places.general.take(peer.ip()) };
    let Ok(place) = place else { return refuse(server, peer, "no place is free") };
    match tls.place((!is_proxy).then_some(peer.ip())).await {
        Ok(handshake) => {
            let encryption = Encryption { acceptor: tls.clone(), place: handshake, is_proxy };
            let connection =
                connection::serve_encrypted(Arc::clone(server), port, stream, peer, place, encryption);
            server.spawn(connection);
        }
        Err(_) => refuse(server, peer, "too many TLS handshakes from its address"),
    }
}

fn refuse(server: &Server, peer: SocketAddr, why: &str) {
    server.metrics.rejected.add(1);
    server.login_log.rejected(peer, why);
}

fn admit(port: Port, server: &Arc<Server>, places: &ConnectionLimits, stream: TcpStream, peer: SocketAddr) {
    let is_proxy = server.config.proxies.contains(&peer.ip().to_canonical());
    // Behind a proxy the client's address is not known yet; it is counted once the header has been read.
    let taken = if is_proxy { places.general.take_any() } else { places.general.take(peer.ip()) };
    match taken {
        Ok(place) if is_proxy => {
            server.spawn(connection::serve_proxied(Arc::clone(server), port, stream, peer, place));
        }
        Ok(place) => {
            server.spawn(connection::serve(Arc::clone(server), port, stream, peer, place));
        }
        Err(NoPlace::Full) if matches!(port, Port::Main(_)) && peer.ip().to_canonical().is_loopback() => {
            match places.services.take_any() {
                Ok(place) => {
                    let port = Port::MainForServices;
                    server.spawn(connection::serve(Arc::clone(server), port, stream, peer, place));
                }
                Err(no_place) => reject(server, &stream, peer, no_place),
            }
        }
        Err(no_place) => reject(server, &stream, peer, no_place),
    }
}
