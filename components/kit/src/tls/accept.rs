//! The handshake of a connection, within the limits of [`super::handshakes`].

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};
use tokio::net::TcpStream;

use super::connection::{RECORD, Socket, TlsStream, flush};
use super::handshakes::{Handshake, Handshakes, PATIENCE};
use crate::places::NoPlace;

/// The first byte of a TLS record that holds a handshake (RFC 8446, 5.1).
pub const TLS_HANDSHAKE: u8 = 0x16;
/// Bytes of the first read, enough for the head of an HTTP request.
const FIRST: usize = 2048;

/// Performs the handshakes of a port.
#[derive(Debug, Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    handshakes: Handshakes,
}

/// Why there is no encrypted connection.
#[derive(Debug)]
pub enum Refused {
    /// The peer sent something else than TLS; these are its first bytes.
    NotTls(TcpStream, Vec<u8>),
    /// The peer sent nothing. It may be a client without TLS that waits for us.
    Silent(TcpStream),
    /// The handshake failed.
    Failed(HandshakeError),
}

/// A handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The connection broke.
    #[error("the connection was closed during the TLS handshake")]
    Closed,
    /// It took too long.
    #[error("the TLS handshake took longer than {} s", PATIENCE.as_secs())]
    TooSlow,
    /// Another connection needed its place.
    #[error("the TLS handshake was slow, and others waited")]
    Displaced,
    /// The peer has no version or algorithm that we have, does not trust our certificate, or does not speak TLS correctly.
    #[error("the TLS handshake failed: {0}")]
    Tls(#[from] rustls::Error),
}

impl From<io::Error> for HandshakeError {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

impl Acceptor {
    pub(super) fn new(config: Arc<ServerConfig>, handshakes: Handshakes) -> Self {
        Self { config, handshakes }
    }

    /// Waits for a place: [`Handshakes::begin`].
    ///
    /// # Errors
    /// If this address has too many.
    pub async fn place(&self, ip: Option<IpAddr>) -> Result<Handshake, NoPlace> {
        self.handshakes.begin(ip).await
    }

    /// Performs the handshake. `before` are bytes of it that were read already.
    ///
    /// # Errors
    /// If it fails or takes too long.
    pub async fn accept(
        &self,
        place: Handshake,
        tcp: TcpStream,
        before: Vec<u8>,
    ) -> Result<TlsStream, Box<Refused>> {
        // Both sides wait for each other; nothing is gained by collecting small segments.
        let _ = tcp.set_nodelay(true);
        let mut first = before;
        let outcome = {
            let work = tokio::time::timeout(PATIENCE, self.handshake(&tcp, &mut first));
            Box::pin(place.displaced.run_until_cancelled(work)).await
        };
        let is_silent = first.is_empty();
        Err(Box::new(match outcome {
            Some(Ok(Ok(Some(tls)))) => return Ok(TlsStream::new(tcp, tls)),
            Some(Ok(Ok(None))) => Refused::NotTls(tcp, first),
            Some(Ok(Err(error))) => Refused::Failed(error),
            Some(Err(_)) | None if is_silent => Refused::Silent(tcp),
            Some(Err(_)) => Refused::Failed(HandshakeError::TooSlow),
            None => Refused::Failed(HandshakeError::Displaced),
        }))
    }

    /// `None` if the peer does not speak TLS.
    async fn handshake(
        &self,
        tcp: &TcpStream,
        first: &mut Vec<u8>,
    ) -> Result<Option<ServerConnection>, HandshakeError> {
        while first.is_empty() {
            first.reserve_exact(FIRST);
            tcp.readable().await?;
            match tcp.try_read_buf(first) {
                Ok(0) => return Err(HandshakeError::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        if first.first() != Some(&TLS_HANDSHAKE) {
            return Ok(None);
        }
        let mut tls = ServerConnection::new(Arc::clone(&self.config))?;
        tls.set_buffer_limit(Some(RECORD));
        let mut given: &[u8] = first;
        while !given.is_empty() {
            tls.read_tls(&mut given)?;
            process(&mut tls, tcp)?;
        }
        while tls.is_handshaking() || tls.wants_write() {
            if tls.wants_write() {
                match flush(&mut tls, tcp) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => tcp.writable().await?,
                    flushed => flushed?,
                }
                continue;
            }
            tcp.readable().await?;
            match tls.read_tls(&mut Socket(tcp)) {
                Ok(0) => return Err(HandshakeError::Closed),
                Ok(_) => process(&mut tls, tcp)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(tls))
    }
}

/// Tells the peer what was wrong, if something was.
fn process(tls: &mut ServerConnection, tcp: &TcpStream) -> Result<(), HandshakeError> {
    let processed = tls.process_new_packets();
    if processed.is_err() {
        let _ = flush(tls, tcp);
    }
    processed?;
    Ok(())
}
