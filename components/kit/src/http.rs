//! Serves HTTP: bounded connections, bounded waiting for whatever a peer owes us, an orderly end.
//!
//! Leaves out TLS and HTTP/2. The life of a connection: it takes a place, or that of the one that has made us wait the longest
//! ([`crowd`]); its request head must be whole within `HEAD_TIMEOUT`; a body must come, and an answer be taken, at a minimum rate
//! ([`connection`]); what heads, bodies and WebSockets' frames hold while they are not whole has one bound for all connections
//! ([`crate::unfinished`]); requests are answered one after another; at shutdown the request in flight is finished and the connection
//! closed, within `DRAIN_TIMEOUT`. An answer's fate is known to those who ask ([`receipt`]).

mod bodies;
mod connection;
mod crowd;
mod health;
mod hosts;
mod page;
mod receipt;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

pub use connection::Connection;
pub use health::{guarded, health, health_with_reason};
pub use hosts::Hosts;
pub use page::{File, Page, harden, is_from_elsewhere};
pub use receipt::Receipt;

use crate::places::{NoPlace, Places};
use crate::secret::Secret;
use crate::unfinished::UnfinishedInput;
use crowd::{Crowd, Member};
use wire::Wire;

/// Connections at once. A WebSocket needs none once it is open.
const MAX_CONNECTIONS: usize = 1024;
/// Connections from one address at once; loopback is exempt.
const MAX_PER_ADDRESS: usize = 256;
/// A request's head comes in one or two segments; a peer that takes longer is broken or holds the place on purpose.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// A request's head, and what is read of a body at once.
const BUFFER_BYTES: usize = 32 * 1024;
/// What the system holds for a peer that does not read.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// How often a place is looked for before a connection is refused.
const LOOKS: usize = 64;
/// Requests in flight at shutdown get this long.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(1500);

/// Serves a router.
#[derive(Debug, Clone)]
pub struct Server {
    router: Router,
    token: Option<Secret>,
    places: Places,
    proxies: Vec<IpAddr>,
    unfinished: UnfinishedInput,
}

impl Server {
    /// A server for `router`. Handlers find the client in `ConnectInfo<SocketAddr>` and the connection in `Arc<Connection>`.
    #[must_use]
    pub fn new(router: Router) -> Self {
        let places = Places::new(MAX_CONNECTIONS, MAX_PER_ADDRESS);
        Self { router, token: None, places, proxies: Vec::new(), unfinished: UnfinishedInput::default() }
    }

    /// Connections whose requests carry this token never give up their place.
    #[must_use]
    pub fn with_token(self, token: Secret) -> Self {
        Self { token: Some(token), ..self }
    }

    /// As many connections as there are places.
    #[must_use]
    pub fn with_places(self, places: Places) -> Self {
        Self { places, ..self }
    }

    /// Connections from these addresses begin with a PROXY header, and count for the clients that it names: see [`crate::proxy`].
    #[must_use]
    pub fn with_proxies(self, proxies: Vec<IpAddr>) -> Self {
        Self { proxies, ..self }
    }

    /// Serves on `listener` until `shutdown`, then drains and returns.
    pub async fn run(self, listener: TcpListener, shutdown: CancellationToken) {
        let crowd = Crowd::new(self.places.clone());
        let served = Arc::new(self);
        let connections = TaskTracker::new();
        loop {
            let (stream, peer) = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = accept(&listener) => accepted,
            };
            if served.proxies.contains(&peer.ip().to_canonical()) {
                let (served, crowd) = (Arc::clone(&served), Arc::clone(&crowd));
                connections.spawn(served.serve_proxied(crowd, stream, peer, shutdown.clone()));
                continue;
            }
            // A peer that is gone already needs no place.
            let Ok(connection) = Connection::new(stream, peer, peer, &served.unfinished) else { continue };
            let connection = Arc::new(connection);
            let Some(member) = admit(&crowd, &connection).await else { continue };
            let wire = Wire::new(connection, Vec::new());
            connections.spawn(Arc::clone(&served).serve(wire, member, shutdown.clone()));
        }
        drop(listener);
        connections.close();
        // Connections that are not done by then are cut off; requests are small, so these are peers that do not read.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, connections.wait()).await;
    }

    /// A connection that a proxy hands on. It takes a place of the proxy's until it is known for whom it is.
    async fn serve_proxied(
        self: Arc<Self>,
        crowd: Arc<Crowd>,
        mut stream: TcpStream,
        proxy: SocketAddr,
        shutdown: CancellationToken,
    ) {
        let Ok(place) = crowd.take_any() else { return crowd.refuse(proxy) };
        let begun = tokio::select! {
            begun = crate::proxy::begin(&mut stream, proxy) => begun,
            () = shutdown.cancelled() => return,
        };
        drop(place);
        let (client, rest) = match begun {
            Ok(begun) => (begun.client, begun.rest),
            Err(error) => return tracing::warn!(%proxy, %error, "a connection was closed"),
        };
        let Ok(connection) = Connection::new(stream, proxy, client, &self.unfinished) else { return };
        let connection = Arc::new(connection);
        if let Some(member) = admit(&crowd, &connection).await {
            self.serve(Wire::new(connection, rest), member, shutdown).await;
        }
    }

    /// A connection's error is its peer's business: it went away, or sent what is not HTTP.
    async fn serve(self: Arc<Self>, wire: Wire, _member: Member, shutdown: CancellationToken) {
        let connection = wire.connection();
        // Answers are written whole; waiting for more to fill a segment only delays them.
        let _ = connection.stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&connection.stream, SEND_BUFFER_BYTES);
        let service = service_fn(|request| Arc::clone(&self).answer(Arc::clone(&connection), request));
        let http = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(wire), service)
            .with_upgrades();
        let mut http = std::pin::pin!(http);
        tokio::select! {
            _ = http.as_mut() => {}
            () = connection.closed.cancelled() => connection.abort(),
            () = shutdown.cancelled() => {
                http.as_mut().graceful_shutdown();
                let _ = http.await;
            }
        }
    }

    async fn answer(
        self: Arc<Self>,
        connection: Arc<Connection>,
        request: hyper::Request<Incoming>,
    ) -> Result<axum::response::Response, std::convert::Infallible> {
        connection.works();
        if self.token.as_ref().is_some_and(|token| has_token(token, request.headers())) {
            connection.is_our_own();
        }
        let body = Arc::clone(&connection);
        let mut request = request.map(|incoming| Body::new(bodies::Request::new(incoming, body)));
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>(connection.client));
        request.extensions_mut().insert(Arc::clone(&connection));
        let answer = self.router.clone().oneshot(request).await?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            connection.is_upgraded();
        }
        Ok(answer.map(|body| Body::new(bodies::Answer::new(body, connection))))
    }
}

/// Serves `router` on `listener` until `shutdown`, then drains and returns.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    Server::new(router).run(listener, shutdown).await;
}

/// Of connections that come all at once nobody knows yet which of them make us wait: they are looked at before one is refused.
async fn admit(crowd: &Arc<Crowd>, connection: &Arc<Connection>) -> Option<Member> {
    for _ in 0..LOOKS {
        match crowd.admit(connection) {
            Ok(member) => return Some(member),
            Err(NoPlace::Address) => break,
            Err(NoPlace::Full) => tokio::task::yield_now().await,
        }
    }
    crowd.refuse(connection.client);
    None
}

/// Accepts, and waits a moment when the system is out of files or memory instead of spinning.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Whether a request carries `token`: `Authorization: Bearer TOKEN`.
#[must_use]
pub fn has_token(token: &Secret, headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, given)) = value.and_then(|value| value.split_once(' ')) else { return false };
    // An empty secret would be matched by anybody.
    scheme.eq_ignore_ascii_case("bearer") && !token.expose().is_empty() && token.matches(given.trim())
}

#[cfg(test)]
mod tests;
