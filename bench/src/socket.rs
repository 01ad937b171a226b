//! The load generator's socket, with or without TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes per read.
const READ: usize = 16 * 1024;

/// Where a system is reached, and how.
#[derive(Debug, Clone, Copy)]
pub struct Address {
    /// Address and port.
    pub at: SocketAddr,
    /// Whether this port speaks TLS.
    pub is_tls: bool,
}

/// A connection's bytes.
pub enum Socket {
    /// Unencrypted.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<Encrypted>),
}

/// A socket with TLS.
pub struct Encrypted {
    tcp: TcpStream,
    tls: ClientConnection,
}

/// Reads and writes without waiting.
struct Raw<'s>(&'s TcpStream);

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket {
    /// Performs the handshake, if there is one.
    ///
    /// # Errors
    /// If it fails.
    pub async fn new(tcp: TcpStream, is_tls: bool) -> io::Result<Self> {
        if !is_tls {
            return Ok(Self::Plain(tcp));
        }
        let name = ServerName::try_from("localhost").expect("this is a name");
        let tls = ClientConnection::new(Arc::clone(&CONFIG), name).map_err(io::Error::other)?;
        let mut encrypted = Encrypted { tcp, tls };
        while encrypted.tls.is_handshaking() {
            encrypted.write_out().await?;
            if encrypted.tls.is_handshaking() {
                encrypted.tcp.readable().await?;
                encrypted.take_in()?;
            }
        }
        encrypted.write_out().await?;
        Ok(Self::Tls(Box::new(encrypted)))
    }

    /// Writes everything.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.write_all(bytes).await,
            Self::Tls(socket) => {
                while !bytes.is_empty() {
                    let count = socket.tls.writer().write(bytes)?;
                    bytes = &bytes[count..];
                    socket.write_out().await?;
                }
                Ok(())
            }
        }
    }

    /// Waits for input and appends it.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn read_buf(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read_buf(input).await,
            Self::Tls(_) => loop {
                match self.try_read_buf(input) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable().await?,
                    read => return read,
                }
            },
        }
    }

    /// Waits for input. Decrypted input is never left over: reads take all of it.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.readable().await,
            Self::Tls(socket) => socket.tcp.readable().await,
        }
    }

    /// Appends what is there.
    ///
    /// # Errors
    /// `WouldBlock`, or if the connection is broken.
    pub fn try_read_buf(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        let socket = match self {
            Self::Plain(tcp) => return tcp.try_read_buf(input),
            Self::Tls(socket) => socket,
        };
        socket.take_in()?;
        let before = input.len();
        loop {
            let filled = input.len();
            input.resize(filled + READ, 0);
            let read = socket.tls.reader().read(&mut input[filled..]);
            input.truncate(filled + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(input.len() - before),
                Ok(_) => {}
                Err(_) if input.len() > before => return Ok(input.len() - before),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Encrypted {
    fn take_in(&mut self) -> io::Result<()> {
        self.tls.read_tls(&mut Raw(&self.tcp))?;
        self.tls.process_new_packets().map_err(io::Error::other)?;
        Ok(())
    }

    async fn write_out(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Raw(&self.tcp)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.tcp.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites of both versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    Arc::new(config)
});

/// The measured server is on this machine, and its certificate was made for this run.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
