//! Accepts connections while there are places for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::access::door::{Door, turn_away};
use crate::connection;
use crate::server::Server;
use kit::places::{NoPlace, Places};

/// Places beside those of the configuration, for the services on this machine: the probe, the thermometer, the bot, `launcher trace`,
/// and what is being asked whether it is one. Without them a client that holds every place also hides whether the server works.
const SERVICE_PLACES: usize = 16;
/// When the system is out of files or memory, waiting is better than spinning.
const PAUSE: Duration = Duration::from_millis(50);

/// The places behind the doors.
struct Doors {
    everybody: Places,
    /// Overflow rule: who finds them taken is told that the server is full, as everybody else is.
    services: Places,
}

/// Accepts at every door until the server stops. They share their places.
pub(crate) async fn accept(server: Arc<Server>, doors: Vec<(Door, TcpListener)>) {
    let places = Doors {
        everybody: Places::new(server.config.max_connections, server.config.max_sessions_per_address),
        services: Places::new(SERVICE_PLACES, 0),
    };
    let accept = |(door, listener)| accept_at(door, &server, &places, listener);
    futures_util::future::join_all(doors.into_iter().map(accept)).await;
}

async fn accept_at(door: Door, server: &Arc<Server>, places: &Doors, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = server.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => admit(door, server, places, stream, peer),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn admit(door: Door, server: &Arc<Server>, places: &Doors, stream: TcpStream, peer: SocketAddr) {
    let is_proxy = server.config.proxies.contains(&peer.ip().to_canonical());
    // Which address it counts for is known when the proxy has said so.
    let taken = if is_proxy { places.everybody.take_any() } else { places.everybody.take(peer.ip()) };
    match taken {
        Ok(place) if is_proxy => {
            server.tasks.spawn(connection::serve_proxied(Arc::clone(server), door, stream, peer, place));
        }
        Ok(place) => {
            server.tasks.spawn(connection::serve(Arc::clone(server), door, stream, peer, place));
        }
        Err(NoPlace::Full) if matches!(door, Door::Main(_)) && peer.ip().to_canonical().is_loopback() => {
            match places.services.take_any() {
                Ok(place) => {
                    let server = Arc::clone(server);
                    let tasks = server.tasks.clone();
                    tasks.spawn(connection::serve(server, Door::Service, stream, peer, place));
                }
                Err(no_place) => turn_away(server, &stream, peer, no_place),
            }
        }
        Err(no_place) => turn_away(server, &stream, peer, no_place),
    }
}
