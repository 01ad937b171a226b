//! HTTP over TLS: a second port of a server, with the same router and the same limits.
//!
//! A connection takes a place among the handshakes first ([`crate::tls::handshakes`]), and one among the server's connections once it is
//! encrypted. Plain HTTP on this port, and TLS on the other, are answered or logged: see [`WRONG_PORT`].

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::stream::Stream;
use crate::tls::accept::{Acceptor, Refused};
use crate::tls::handshakes::Handshake;
use crate::tls::{Config, Protocol, Tls};

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

/// Opens the TLS port of a server, if it has one, and follows its certificate until `shutdown`: `report` is told why a new one is not used
/// ([`Tls::follow`]).
///
/// # Errors
/// If the certificate cannot be used, or the address cannot be listened on.
pub async fn open_tls(
    address: Option<SocketAddr>,
    config: &Config,
    data: &Path,
    shutdown: &CancellationToken,
    report: impl Fn(Option<String>) + Send + 'static,
) -> Result<Option<TlsPort>, Failure> {
    let Some(address) = address else { return Ok(None) };
    let tls = Tls::open(config, data)?;
    let listener = crate::listen::bind(address).await?;
    let port = TlsPort::new(listener, tls.acceptor(Protocol::Http));
    tokio::spawn(tls.follow(shutdown.clone(), report));
    Ok(Some(port))
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

    /// A connection to the port without TLS started with TLS; `tls` is the port with it.
    pub(super) fn log_tls(&self, client: SocketAddr, tls: Option<&TlsPort>) {
        if self.may_say() {
            match tls.and_then(|tls| tls.address) {
                Some(port) => tracing::warn!(%client, %port, "TLS on the port without it; 'port' has it"),
                None => tracing::warn!(%client, "TLS on a port without it; no TLS port is configured"),
            }
        }
    }
}

impl TlsPort {
    /// A connection with a place among the handshakes; `None` if its address has too many.
    pub(super) async fn accept(&self, proxies: &[IpAddr]) -> Option<Accepted> {
        let (tcp, peer) = crate::listen::retried(|| self.listener.accept()).await;
        let is_proxy = proxies.contains(&peer.ip().to_canonical());
        // Behind a proxy the client's address is not known yet.
        let place = self.acceptor.place((!is_proxy).then_some(peer.ip())).await.ok()?;
        Some(Accepted { tcp, peer, is_proxy, place })
    }

    /// The encrypted stream, the peer and the client; `None` if it is refused.
    pub(super) async fn encrypt(
        &self,
        accepted: Accepted,
        mistakes: &Mistakes,
    ) -> Option<(Stream, SocketAddr, SocketAddr)> {
        let Accepted { mut tcp, peer, is_proxy, place } = accepted;
        let (client, rest) = if is_proxy {
            let begun = crate::proxy::begin(&mut tcp, peer).await.ok()?;
            (begun.client, begun.rest)
        } else {
            (peer, Vec::new())
        };
        match self.acceptor.accept(place, tcp, rest).await {
            Ok(stream) => Some((stream.into(), peer, client)),
            Err(refused) => {
                refuse(*refused, client, mistakes).await;
                None
            }
        }
    }
}

/// A connection before its handshake.
pub(super) struct Accepted {
    tcp: TcpStream,
    peer: SocketAddr,
    /// Whether it starts with the PROXY header of a configured proxy.
    is_proxy: bool,
    place: Handshake,
}

async fn refuse(refused: Refused, client: SocketAddr, mistakes: &Mistakes) {
    match refused {
        Refused::NotTls(tcp, _) => {
            if mistakes.may_say() {
                tracing::info!(%client, "plain HTTP on the TLS port");
            }
            let _ = tcp.try_write(WRONG_PORT.as_bytes());
            crate::linger::linger(&tcp, LINGER, LINGER_BYTES).await;
        }
        Refused::Silent(_) => {}
        Refused::Failed(error) => tracing::debug!(%client, %error, "a TLS connection was refused"),
    }
}
