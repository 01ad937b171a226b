//! Serves HTTP: bounded connections, bounded waiting for a request's head, an orderly end.
//!
//! Leaves out TLS and HTTP/2. The life of a connection: accepted while fewer than `MAX_CONNECTIONS` are open; its request head
//! must be whole within `HEAD_TIMEOUT`; requests are answered one after another; at shutdown the request under way is finished
//! and the connection closed, within `DRAIN_TIMEOUT`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Connections past this one wait in the system's queue, so that a flood costs memory for these only.
const MAX_CONNECTIONS: usize = 4096;
/// A request's head comes in one or two segments; who takes longer is broken or holds the place on purpose.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// What is under way when we are told to end gets this long.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(1500);

/// Serves `router` on `listener` until `shutdown`, then drains and returns. Handlers find the peer in `ConnectInfo<SocketAddr>`.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        let (router, shutdown) = (router.clone(), shutdown.clone());
        connections.spawn(async move {
            let _place = place;
            serve_connection(stream, peer, router, shutdown).await;
        });
    }
    drop(listener);
    connections.close();
    // Whoever is not done by then is cut off; requests are small, so this is a peer that does not read.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, connections.wait()).await;
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

/// A connection's error is its peer's business: it went away, or sent what is not HTTP.
async fn serve_connection(stream: TcpStream, peer: SocketAddr, router: Router, shutdown: CancellationToken) {
    // Answers are written whole; waiting for more to fill a segment only delays them.
    let _ = stream.set_nodelay(true);
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// `/healthz` (the process answers), `/readyz` (`ready` says so) and `/metrics` (Prometheus text from `metrics`).
pub fn health<S: Clone + Send + Sync + 'static>(
    ready: impl Fn() -> bool + Clone + Send + Sync + 'static,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Router<S> {
    health_with_reason(move || if ready() { None } else { Some(String::new()) }, metrics)
}

/// As [`health`], where `unready` knows why it is not ready; `/readyz` answers that in its first line.
pub fn health_with_reason<S: Clone + Send + Sync + 'static>(
    unready: impl Fn() -> Option<String> + Clone + Send + Sync + 'static,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Router<S> {
    let readyz = move || {
        let answer = match unready() {
            None => (StatusCode::OK, "ready\n".to_owned()),
            Some(reason) if reason.is_empty() => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned()),
            Some(reason) => {
                let reason = reason.replace(['\n', '\r'], " ");
                (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n"))
            }
        };
        std::future::ready(answer)
    };
    let metrics = move || {
        let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
        std::future::ready((kind, metrics()))
    };
    Router::new()
        .route("/healthz", get(|| std::future::ready("ok\n")))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
}

/// Which `Host` headers a server answers to: a page that a browser loaded elsewhere must not reach it under a name that was
/// rebound to this machine (DNS rebinding).
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    names: Vec<String>,
}

impl Hosts {
    /// Loopback addresses, `localhost`, any other IP address, and these names. An IP address in `Host` cannot be rebound.
    #[must_use]
    pub fn with_names(names: Vec<String>) -> Self {
        Self { names: names.into_iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Whether a request may be answered, by its `Host` header. A request without one is not from a browser.
    #[must_use]
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST) else { return true };
        let Ok(host) = host.to_str() else { return false };
        let name = host_name(host).to_ascii_lowercase();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || bare.parse::<IpAddr>().is_ok() || self.names.contains(&name)
    }

    /// Middleware: answers 421 where the host is not allowed.
    ///
    /// # Errors
    /// The answer to a request that is not for us.
    pub fn check(&self, request: Request) -> Result<Request, Box<Response>> {
        if self.allow(request.headers()) {
            return Ok(request);
        }
        let detail = "this server does not answer to that Host name\n";
        Err(Box::new((StatusCode::MISDIRECTED_REQUEST, detail).into_response()))
    }
}

/// The name without the port: `localhost:8080`, `[::1]:8080`.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if !name.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !host.ends_with(']') =>
        {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn allowed(host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        Hosts::with_names(vec!["Chat.example".into()]).allow(&headers)
    }

    #[test]
    fn only_our_own_host_names_are_answered() {
        for good in
            ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "192.168.1.4", "chat.example:80"]
        {
            assert!(allowed(good), "{good}");
        }
        for bad in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80"] {
            assert!(!allowed(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn serves_until_told_to_stop_and_then_returns() {
        let listener = crate::listen::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let router = health(|| true, String::new);
        let server = tokio::spawn(serve(listener, router, shutdown.clone()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut buffer = [0; 15];
        stream.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"HTTP/1.1 200 OK");
        shutdown.cancel();
        server.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_never_ends_is_not_waited_for() {
        let listener = crate::listen::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, health(|| true, String::new), CancellationToken::new()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
    }
}
