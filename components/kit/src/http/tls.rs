//! HTTP over TLS: a second port of a server, with the same router and the same limits.
//!
//! A connection takes a place among the handshakes first ([`crate::tls::handshakes`]), and one among the server's connections once it is
//! encrypted. Plain HTTP on this port, and TLS on the other, are answered or logged: see [`WRONG_PORT`].

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::Connection;
use super::crowd::Crowd;
use super::wire::Wire;
use super::{Server, admit};
use crate::stream::Stream;
use crate::tls::accept::{Acceptor, Refused};
use crate::tls::handshakes::Handshake;

/// The answer to plain HTTP on a TLS port.
const WRONG_PORT: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\
                          Content-Length: 60\r\n\r\nThis port speaks TLS: use https:// instead of http:// here.\n";
/// How often mistaken clients are logged.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// How long the last output may take.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 * 1024;

/// A port that speaks TLS.
#[derive(Debug, Clone)]
pub struct TlsPort {
    listener: Arc<TcpListener>,
    acceptor: Acceptor,
    address: Option<SocketAddr>,
}

impl TlsPort {
    /// Performs handshakes on `listener`.
    #[must_use]
    pub fn new(listener: TcpListener, acceptor: Acceptor) -> Self {
        let address = listener.local_addr().ok();
        Self { listener: Arc::new(listener), acceptor, address }
    }
}

/// Logs clients that mistake one port for the other, seldom.
#[derive(Debug, Default)]
pub(super) struct Mistakes(Mutex<Option<Instant>>);

impl Mistakes {
    fn may_say(&self) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let may = said.is_none_or(|at| at.elapsed() >= SAY_EVERY);
        if may {
            *said = Some(Instant::now());
        }
        may
    }
}

impl Server {
    /// Serves on this port, too.
    #[must_use]
    pub fn with_tls(self, tls: Option<TlsPort>) -> Self {
        Self { tls, ..self }
    }

    /// A connection to the port without TLS started with TLS.
    pub(super) fn log_mistaken_tls(&self, client: SocketAddr) {
        if self.mistakes.may_say() {
            match self.tls.as_ref().and_then(|tls| tls.address) {
                Some(port) => tracing::warn!(%client, %port, "TLS on the port without it; 'port' has it"),
                None => tracing::warn!(%client, "TLS on a port without it; no TLS port is configured"),
            }
        }
    }

    /// Accepts connections on the TLS port.
    pub(super) async fn accept_tls(
        self: Arc<Self>,
        port: TlsPort,
        crowd: Arc<Crowd>,
        connections: TaskTracker,
        shutdown: CancellationToken,
    ) {
        loop {
            let accepted = async {
                let (tcp, peer) = super::accept_tcp(&port.listener).await;
                let is_proxy = self.proxies.contains(&peer.ip().to_canonical());
                // Behind a proxy the client's address is not known yet.
                let place = port.acceptor.place((!is_proxy).then_some(peer.ip())).await;
                (tcp, peer, is_proxy, place)
            };
            let (tcp, peer, is_proxy, place) = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = accepted => accepted,
            };
            // An address with too many handshakes.
            let Ok(place) = place else { continue };
            let (served, crowd, acceptor) = (Arc::clone(&self), Arc::clone(&crowd), port.acceptor.clone());
            let shutdown = shutdown.clone();
            connections.spawn(Box::pin(async move {
                let encrypted = served.encrypt(&acceptor, place, tcp, peer, is_proxy);
                let Some(Some((stream, client))) = shutdown.run_until_cancelled(encrypted).await else {
                    return;
                };
                let Ok(connection) = Connection::new(stream, peer, client, &served.unfinished) else {
                    return;
                };
                let connection = Arc::new(connection);
                if let Some(member) = admit(&crowd, &connection).await {
                    served.serve(Wire::new(connection, Vec::new()), member, shutdown).await;
                }
            }));
        }
    }

    /// The encrypted stream, and the client; `None` if it is refused.
    async fn encrypt(
        &self,
        acceptor: &Acceptor,
        place: Handshake,
        mut tcp: TcpStream,
        peer: SocketAddr,
        is_proxy: bool,
    ) -> Option<(Stream, SocketAddr)> {
        let (client, rest) = if is_proxy {
            let begun = crate::proxy::begin(&mut tcp, peer).await.ok()?;
            (begun.client, begun.rest)
        } else {
            (peer, Vec::new())
        };
        match acceptor.accept(place, tcp, rest).await {
            Ok(stream) => Some((stream.into(), client)),
            Err(refused) => {
                self.refuse(*refused, client).await;
                None
            }
        }
    }

    async fn refuse(&self, refused: Refused, client: SocketAddr) {
        match refused {
            Refused::NotTls(tcp, _) => {
                if self.mistakes.may_say() {
                    tracing::info!(%client, "plain HTTP on the TLS port");
                }
                let _ = tcp.try_write(WRONG_PORT.as_bytes());
                crate::linger::linger(&tcp, LINGER, LINGER_BYTES).await;
            }
            Refused::Silent(_) => {}
            Refused::Failed(error) => tracing::debug!(%client, %error, "a TLS connection was refused"),
        }
    }
}
