//! Serves HTTP with a bounded number of connections, bounded waiting for slow peers, and an orderly shutdown.
//!
//! HTTP/2 is out of scope. The life of a connection, encrypted ([`tls`]) or not:
//!
//! * It takes a place. If all are taken, it replaces the connection that has kept the server waiting the longest ([`crowd`]).
//! * Its request head must be complete within `HEAD_TIMEOUT`. The peer must send a body, and read an answer, at a minimum rate
//!   ([`connection`]).
//! * Incomplete heads, bodies and WebSocket frames share one memory limit across all connections ([`crate::unfinished`]).
//! * Requests are answered one after another. [`receipt`] reports whether the peer has read an answer.
//! * At shutdown, the request in flight is finished and the connection closed, within `DRAIN_TIMEOUT`.

mod bodies;
mod connection;
mod crowd;
mod health;
mod hosts;
pub mod openapi;
mod page;
mod receipt;
mod tls;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

pub use connection::Connection;
pub use health::{guarded, health, health_with_reason};
pub use hosts::Hosts;
pub use page::{File, Page, harden, is_from_elsewhere};
pub use receipt::Receipt;
pub use tls::{TlsPort, open_tls};

pub use crate::stream::Listener;

use crate::places::{NoPlace, Places};
use crate::secret::Secret;
use crate::stream::Stream;
use crate::unfinished::UnfinishedInput;
use crowd::{Crowd, Member};
use tls::{Accepted, Mistakes};
use wire::Wire;

/// Most connections at once. An open WebSocket does not count.
const MAX_CONNECTIONS: usize = 1024;
/// Most connections from one address at once; loopback is exempt.
const MAX_PER_ADDRESS: usize = 256;
/// A request's head arrives in one or two segments; a peer that takes longer is broken or hostile.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest request head, and size of one read of a body.
const BUFFER_BYTES: usize = 32 * 1024;
/// Size of the kernel's send buffer of a connection.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// How often a place is requested before a connection is refused.
const LOOKS: usize = 64;
/// Browsers use no unencrypted connections to this host name for half a year (RFC 6797). They ignore it where the certificate is not
/// trusted, and for IP addresses.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=15552000");
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
    tls: Option<TlsPort>,
    mistakes: Arc<Mistakes>,
}

impl Server {
    /// A server for `router`. Handlers find the client in `ConnectInfo<SocketAddr>` and the connection in `Arc<Connection>`.
    #[must_use]
    pub fn new(router: Router) -> Self {
        let places = Places::new(MAX_CONNECTIONS, MAX_PER_ADDRESS);
        Self {
            router,
            token: None,
            places,
            proxies: Vec::new(),
            unfinished: UnfinishedInput::default(),
            tls: None,
            mistakes: Arc::default(),
        }
    }

    /// Connections whose requests carry this token never give up their place.
    #[must_use]
    pub fn with_token(self, token: Secret) -> Self {
        Self { token: Some(token), ..self }
    }

    /// Serves on this port, too.
    #[must_use]
    pub fn with_tls(self, tls: Option<TlsPort>) -> Self {
        Self { tls, ..self }
    }

    /// Limits the number of connections.
    #[must_use]
    pub fn with_places(self, places: Places) -> Self {
        Self { places, ..self }
    }

    /// Connections from these addresses start with a PROXY header, and count for the clients named in it: see [`crate::proxy`].
    #[must_use]
    pub fn with_proxies(self, proxies: Vec<IpAddr>) -> Self {
        Self { proxies, ..self }
    }

    /// Serves on `listener` until `shutdown`, then drains and returns. All peers of a Unix socket count as one address of this machine.
    ///
    /// Boxed here, so that HTTP is compiled with this crate and not with each server: see [`crate::Running`].
    pub fn run(
        self,
        listener: impl Into<Listener>,
        shutdown: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.run_on(listener.into(), shutdown)
    }

    fn run_on(
        self,
        listener: Listener,
        shutdown: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.accept_all(listener, shutdown))
    }

    async fn accept_all(self, listener: Listener, shutdown: CancellationToken) {
        let crowd = Crowd::new(self.places.clone());
        let served = Arc::new(self);
        let connections = TaskTracker::new();
        if let Some(port) = served.tls.clone() {
            let (served, crowd) = (Arc::clone(&served), Arc::clone(&crowd));
            connections.spawn(served.accept_tls(port, crowd, connections.clone(), shutdown.clone()));
        }
        loop {
            let (stream, peer) = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = crate::listen::retried(|| listener.accept()) => accepted,
            };
            if served.proxies.contains(&peer.ip().to_canonical()) {
                let (served, crowd) = (Arc::clone(&served), Arc::clone(&crowd));
                connections.spawn(served.serve_proxied(crowd, stream, peer, shutdown.clone()));
                continue;
            }
            // A peer that has already disconnected needs no place.
            let Ok(connection) = Connection::new(stream, peer, peer, &served.unfinished) else { continue };
            let connection = Arc::new(connection);
            let Some(member) = admit(&crowd, &connection).await else { continue };
            let wire = Wire::new(connection, Vec::new());
            connections.spawn(Arc::clone(&served).serve(wire, member, shutdown.clone()));
        }
        drop(listener);
        connections.close();
        // Remaining connections are closed; requests are small, so these are peers that do not read.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, connections.wait()).await;
    }

    /// Accepts connections on the TLS port.
    async fn accept_tls(
        self: Arc<Self>,
        port: TlsPort,
        crowd: Arc<Crowd>,
        connections: TaskTracker,
        shutdown: CancellationToken,
    ) {
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = port.accept(&self.proxies) => accepted,
            };
            if let Some(accepted) = accepted {
                let serving =
                    Arc::clone(&self).serve_tls(port.clone(), accepted, Arc::clone(&crowd), shutdown.clone());
                connections.spawn(Box::pin(serving));
            }
        }
    }

    async fn serve_tls(
        self: Arc<Self>,
        port: TlsPort,
        accepted: Accepted,
        crowd: Arc<Crowd>,
        shutdown: CancellationToken,
    ) {
        let encrypting = Box::pin(shutdown.run_until_cancelled(port.encrypt(accepted, &self.mistakes)));
        let Some(Some((stream, peer, client))) = encrypting.await else { return };
        let Ok(connection) = Connection::new(stream, peer, client, &self.unfinished) else { return };
        let connection = Arc::new(connection);
        if let Some(member) = admit(&crowd, &connection).await {
            self.serve(Wire::new(connection, Vec::new()), member, shutdown).await;
        }
    }

    /// Serves a connection from a proxy. It takes one of the proxy's places until the client is known.
    async fn serve_proxied(
        self: Arc<Self>,
        crowd: Arc<Crowd>,
        stream: Stream,
        proxy: SocketAddr,
        shutdown: CancellationToken,
    ) {
        // A proxy is known by its address.
        let Stream::Tcp(mut stream) = stream else { return };
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
        let Ok(connection) = Connection::new(Stream::Tcp(stream), proxy, client, &self.unfinished) else {
            return;
        };
        let connection = Arc::new(connection);
        if let Some(member) = admit(&crowd, &connection).await {
            self.serve(Wire::new(connection, rest), member, shutdown).await;
        }
    }

    /// Errors are ignored: the peer disconnected or sent malformed HTTP.
    async fn serve(self: Arc<Self>, wire: Wire, _member: Member, shutdown: CancellationToken) {
        let connection = wire.connection();
        connection.stream.tune(SEND_BUFFER_BYTES);
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
        if connection.progress().began_with_tls {
            self.mistakes.log_tls(connection.client, self.tls.as_ref());
        }
    }

    async fn answer(
        self: Arc<Self>,
        connection: Arc<Connection>,
        request: hyper::Request<Incoming>,
    ) -> Result<axum::response::Response, std::convert::Infallible> {
        connection.request_received();
        if self.token.as_ref().is_some_and(|token| has_token(token, request.headers())) {
            connection.mark_as_own();
        }
        let body = Arc::clone(&connection);
        let mut request = request.map(|incoming| Body::new(bodies::Request::new(incoming, body)));
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>(connection.client));
        request.extensions_mut().insert(Arc::clone(&connection));
        let mut answer = self.router.clone().oneshot(request).await?;
        if connection.is_tls() {
            answer.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
        }
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            connection.mark_as_upgraded();
        }
        Ok(answer.map(|body| Body::new(bodies::Answer::new(body, connection))))
    }
}

/// Serves `router` on `listener` until `shutdown`, then drains and returns.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    Server::new(router).run(listener, shutdown).await;
}

/// Right after a burst of connections it is not known which of them keep us waiting, so a place is requested several times.
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

/// Whether a request carries `token`: `Authorization: Bearer TOKEN`.
#[must_use]
pub fn has_token(token: &Secret, headers: &HeaderMap) -> bool {
    // An empty token would match every request without one.
    bearer(headers).is_some_and(|given| !token.expose().is_empty() && token.matches(given))
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750, 2.1).
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests;
