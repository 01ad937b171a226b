//! A node with a new key that follows no rules: it sends what it is told to, as fast as it can.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use protocol::lan::NodeId;
use protocol::lan::frame::{Frame, VERSION};
use protocol::{Body, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, ring::default_provider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};
use socket2::{Domain, Socket, Type};
use uuid::Uuid;

use crate::network::Host;

/// The prefix of an Ed25519 key's `SubjectPublicKeyInfo` (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// Time limit for an answer to a handshake.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection after its handshake.
pub struct Stranger {
    pub id: NodeId,
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Stranger {
    /// Connects from an address of this host to the secure port there, with a new key.
    pub fn connect(host: &Host, from: &str, to: &str) -> io::Result<Self> {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap();
        let public: [u8; 32] = pair.public_key().as_ref().try_into().map_err(io::Error::other)?;
        let config = config(key.as_ref(), &public).map_err(io::Error::other)?;
        let mut socket = host.within(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&SocketAddr::new(from.parse().unwrap(), 0).into())?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_tcp_nodelay(true)?;
            socket.connect_timeout(&SocketAddr::new(to.parse().unwrap(), 47600).into(), PATIENCE)?;
            Ok::<_, io::Error>(TcpStream::from(socket))
        })?;
        let name = ServerName::try_from("p2pchat.invalid").map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(Self { id: NodeId::from_bytes(public), stream: StreamOwned::new(connection, socket) })
    }

    /// Sends its identity.
    pub fn hello(&mut self, name: &str) -> io::Result<()> {
        self.say(&Frame::Hello { version: VERSION, name: name.to_owned(), port: 47600, stream: 7, first: 1 })
    }

    /// Sends message `seq` as soon as the other side accepts it.
    pub fn message(&mut self, seq: u64, text: &str) -> io::Result<()> {
        let (id, sent) = (Uuid::now_v7(), Timestamp::now());
        self.say(&Frame::Message { seq, id, sent, body: Body::parse(text).unwrap() })
    }

    fn say(&mut self, frame: &Frame) -> io::Result<()> {
        self.stream.write_all(&frame.to_bytes())?;
        self.stream.flush()
    }

    /// Whether the connection is still open.
    pub fn is_held(&mut self) -> bool {
        self.stream.sock.set_nonblocking(true).unwrap();
        let is_held = loop {
            match self.stream.sock.read(&mut [0; 4096]) {
                Ok(0) => break false,
                Ok(_) => {}
                Err(error) => break error.kind() == io::ErrorKind::WouldBlock,
            }
        };
        self.stream.sock.set_nonblocking(false).unwrap();
        is_held
    }

    /// Ends the connection, although a task waits in it.
    pub fn end(&self) -> impl FnOnce() + use<> {
        let stream = self.stream.sock.try_clone().unwrap();
        move || drop(stream.shutdown(Shutdown::Both))
    }
}

fn config(pkcs8: &[u8], public: &[u8]) -> Result<ClientConfig, Error> {
    let provider = Arc::new(default_provider());
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.to_vec()));
    let signing = provider.key_provider.load_private_key(private)?;
    let shown = CertificateDer::from([&SPKI[..], public].concat());
    let key = Arc::new(CertifiedKey::new(vec![shown], signing));
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(key)));
    config.alpn_protocols = vec![b"p2pchat/1".to_vec()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Accepts every key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(shown.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
