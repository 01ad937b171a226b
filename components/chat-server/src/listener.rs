//! Accepts connections within the connection limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::access::port::{Port, reject};
use crate::connection;
use crate::server::Server;
use kit::places::{NoPlace, Places};

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
pub(crate) async fn accept(server: Arc<Server>, ports: Vec<(Port, TcpListener)>) {
    let places = ConnectionLimits {
        general: Places::new(server.config.max_connections, server.config.max_sessions_per_address),
        services: Places::new(SERVICE_PLACES, 0),
    };
    let accept = |(port, listener)| accept_at(port, &server, &places, listener);
    futures_util::future::join_all(ports.into_iter().map(accept)).await;
}

async fn accept_at(port: Port, server: &Arc<Server>, places: &ConnectionLimits, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = server.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => admit(port, server, places, stream, peer),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
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
