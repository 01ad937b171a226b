//! With rustls' own client, over real connections.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as Client;

use super::accept::Refused;
use super::validity::Age;
use super::*;
use crate::stream::Stream;

/// Longer than any machine that runs tests needs.
const LONG: Duration = Duration::from_secs(30);

/// A data directory with a pair for `localhost`.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.renew();
        home
    }

    fn config() -> Config {
        Config { certificate: Some("certificate.pem".into()), key: Some("key.pem".into()) }
    }

    fn write(&self, file: &str, content: &str) {
        let new = self.0.path().join("new");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(&new, self.0.path().join(file)).unwrap();
    }

    /// Makes another pair; returns the certificate.
    fn renew(&self) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        self.write("certificate.pem", &certificate.pem());
        self.write("key.pem", &key.serialize_pem());
        certificate.der().clone()
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.0.path().join("certificate.pem")).unwrap()
    }

    pub(crate) fn tls(&self) -> Tls {
        Tls::open(&Self::config(), self.0.path()).unwrap()
    }
}

/// Accepts one connection after the other.
async fn serve(tls: &Tls) -> (SocketAddr, mpsc::Receiver<Result<Stream, Box<Refused>>>) {
    let (listener, acceptor) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), tls.acceptor(Protocol::Chat));
    let address = listener.local_addr().unwrap();
    let (sender, accepted) = mpsc::channel(8);
    tokio::spawn(async move {
        loop {
            let (tcp, peer) = listener.accept().await.unwrap();
            let place = acceptor.place(Some(peer.ip())).await.unwrap();
            sender.send(acceptor.accept(place, tcp, Vec::new()).await.map(Stream::from)).await.unwrap();
        }
    });
    (address, accepted)
}

pub(crate) async fn dial(
    address: SocketAddr,
    trusted: CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<Client<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), tcp).await
}

async fn read(stream: &mut Stream) -> std::io::Result<Vec<u8>> {
    let mut space = [0; 64];
    let mut buffer = tokio::io::ReadBuf::new(&mut space);
    std::future::poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await?;
    Ok(buffer.filled().to_vec())
}

async fn write(stream: &Stream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        stream.writable().await.unwrap();
        match stream.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
}

#[tokio::test]
async fn both_versions_carry_bytes_in_both_directions_and_say_when_they_end() {
    let home = Home::new();
    let (address, mut accepted) = serve(&home.tls()).await;
    for version in [&TLS12, &TLS13] {
        let mut client = dial(address, home.certificate(), &[version]).await.unwrap();
        let mut server = accepted.recv().await.unwrap().unwrap();
        client.write_all(b"hello").await.unwrap();
        client.flush().await.unwrap();
        assert_eq!(read(&mut server).await.unwrap(), b"hello");
        // More than a record, the kernel's buffers, and what one read takes.
        let long: Vec<u8> = (0..8_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut heard = vec![0; long.len()];
        let (_, ()) = tokio::join!(client.read_exact(&mut heard), write(&server, &long));
        assert!(heard == long);
        client.write_all(&[b'x'; 100]).await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(read(&mut server).await.unwrap().len(), 64);
        tokio::time::timeout(LONG, server.readable()).await.expect("36 more are decrypted").unwrap();
        assert_eq!(read(&mut server).await.unwrap().len(), 36);
        assert_eq!(read(&mut server).await.unwrap(), b"");
        assert!(!server.is_truncated());
        let ends = server.linger(LONG, 1 << 20);
        let (read, ()) = tokio::join!(client.read(&mut heard), ends);
        assert_eq!(read.unwrap(), 0, "not an unexpected end");
    }
}

#[tokio::test]
async fn a_connection_that_was_cut_off_is_told_from_one_that_ended() {
    let home = Home::new();
    let (address, mut accepted) = serve(&home.tls()).await;
    let mut client = dial(address, home.certificate(), &[&TLS13]).await.unwrap();
    let mut server = accepted.recv().await.unwrap().unwrap();
    client.write_all(b"give him all").await.unwrap();
    client.get_mut().0.shutdown().await.unwrap();
    assert_eq!(read(&mut server).await.unwrap(), b"give him all");
    assert_eq!(read(&mut server).await.unwrap(), b"");
    assert!(server.is_truncated());
}

#[tokio::test]
async fn what_counts_as_written_is_in_the_kernel() {
    let home = Home::new();
    let (address, mut accepted) = serve(&home.tls()).await;
    let mut client = dial(address, home.certificate(), &[&TLS13]).await.unwrap();
    let server = accepted.recv().await.unwrap().unwrap();
    let bytes = [7; 30_000];
    let mut written = 0;
    while let Ok(count) = server.try_write(&bytes) {
        written += count;
    }
    // Nothing is left for a later flush: all of it arrives although the server never writes again.
    let mut heard = vec![0; written];
    tokio::time::timeout(LONG, client.read_exact(&mut heard)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_new_pair_serves_new_connections_and_a_bad_one_changes_nothing() {
    let home = Home::new();
    let tls = home.tls();
    let (reports, mut reported) = mpsc::unbounded_channel();
    let report = move |problem| reports.send(problem).unwrap();
    tokio::spawn(tls.clone().follow(CancellationToken::new(), report));
    let (address, mut accepted) = serve(&tls).await;
    let first = home.certificate();
    let mut client = dial(address, first.clone(), &[&TLS13]).await.unwrap();
    let mut server = accepted.recv().await.unwrap().unwrap();

    // Half of a pair.
    let other = KeyPair::generate().unwrap();
    home.write("key.pem", &other.serialize_pem());
    let problem = tokio::time::timeout(LONG, reported.recv()).await.unwrap().unwrap().unwrap();
    assert!(problem.contains("cannot be used with the key"), "{problem}");
    assert!(dial(address, first.clone(), &[&TLS13]).await.is_ok());
    drop(accepted.recv().await);

    let second = home.renew();
    assert_eq!(tokio::time::timeout(LONG, reported.recv()).await.unwrap().unwrap(), None);
    assert!(dial(address, second, &[&TLS13]).await.is_ok());
    assert!(dial(address, first, &[&TLS13]).await.is_err());
    client.write_all(b"still here").await.unwrap();
    assert_eq!(read(&mut server).await.unwrap(), b"still here");
}

#[tokio::test]
async fn what_is_no_tls_is_returned_and_silence_ends() {
    let home = Home::new();
    let (address, mut accepted) = serve(&home.tls()).await;
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    match *accepted.recv().await.unwrap().unwrap_err() {
        Refused::NotTls(_, first) => assert_eq!(first, b"GET / HTTP/1.1\r\n"),
        other => panic!("{other:?}"),
    }
    let mut garbage = TcpStream::connect(address).await.unwrap();
    garbage.write_all(&[accept::TLS_HANDSHAKE, 3, 1, 0xff, 0xff, 1, 2, 3]).await.unwrap();
    assert!(matches!(*accepted.recv().await.unwrap().unwrap_err(), Refused::Failed(_)));
    let mut cut = TcpStream::connect(address).await.unwrap();
    cut.write_all(&[accept::TLS_HANDSHAKE, 3, 1, 0, 100, 1]).await.unwrap();
    drop(cut);
    assert!(matches!(*accepted.recv().await.unwrap().unwrap_err(), Refused::Failed(_)));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_takes_too_long_ends() {
    let home = Home::new();
    let (address, mut accepted) = serve(&home.tls()).await;
    let begun = tokio::time::Instant::now();
    let _silent = TcpStream::connect(address).await.unwrap();
    assert!(matches!(*accepted.recv().await.unwrap().unwrap_err(), Refused::Silent(_)));
    assert_eq!(begun.elapsed().as_secs(), handshakes::PATIENCE.as_secs());
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(&[accept::TLS_HANDSHAKE]).await.unwrap();
    let refused = *accepted.recv().await.unwrap().unwrap_err();
    assert!(matches!(refused, Refused::Failed(accept::HandshakeError::TooSlow)), "{refused:?}");
}

#[test]
fn the_dates_of_a_certificate_are_read() {
    let home = Home::new();
    let pair = pair::load(&Home::config().files(home.0.path()).unwrap()).unwrap();
    // rcgen's default: from 1975 to 4096.
    let validity = pair.validity.unwrap();
    assert_eq!(validity.from.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(), 157_766_400);
    assert_eq!(validity.age(SystemTime::now()), Age::Fine);
    assert_eq!(pair::show(&pair.fingerprint).len(), 95);
}

#[test]
fn files_that_are_no_pair_are_named() {
    let home = Home::new();
    let told = |certificate: &str, key: &str| {
        home.write("c", certificate);
        home.write("k", key);
        let config = Config { certificate: Some("c".into()), key: Some("k".into()) };
        Tls::open(&config, home.0.path()).unwrap_err().to_string()
    };
    assert!(told("", "").contains("/c has no certificate in PEM"));
    let certificate = std::fs::read_to_string(home.0.path().join("certificate.pem")).unwrap();
    assert!(told(&certificate, "x").contains("/k has no private key in PEM"));
    let other = KeyPair::generate().unwrap().serialize_pem();
    assert!(told(&certificate, &other).contains("cannot be used with the key"));
    std::fs::remove_file(home.0.path().join("k")).unwrap();
    let config = Config { certificate: Some("c".into()), key: Some("k".into()) };
    let gone = Tls::open(&config, home.0.path()).unwrap_err().to_string();
    assert!(gone.contains("cannot read") && gone.contains("No such file"), "{gone}");
    assert!(Tls::open(&Config::default(), home.0.path()).unwrap_err().to_string().contains("self-signed"));
}
