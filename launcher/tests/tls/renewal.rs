//! A certificate that changes while connections are open, one that expired, and a restart.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::{PATIENCE, wait_for};
use crate::world::{World, settings, text};

/// How many connections stay open while the certificate changes.
const OPEN: usize = 100;

/// A blocking client that trusts one certificate.
pub(crate) struct Client {
    stream: StreamOwned<ClientConnection, TcpStream>,
    heard: String,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr, certificate: &Path) -> std::io::Result<Self> {
        Self::with(address, CertificateDer::from_pem_file(certificate).unwrap())
    }

    fn with(address: SocketAddr, certificate: CertificateDer<'static>) -> std::io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let tcp = TcpStream::connect(address)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self { stream, heard: String::new() })
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
        self.stream.flush().unwrap();
    }

    /// Whether this text arrives before the end.
    pub(crate) fn hear(&mut self, text: &str) -> bool {
        let mut buffer = [0; 4096];
        while !self.heard.contains(text) {
            match self.stream.read(&mut buffer) {
                Ok(0) | Err(_) => return false,
                Ok(count) => self.heard.push_str(&String::from_utf8_lossy(&buffer[..count])),
            }
        }
        self.heard.clear();
        true
    }

    fn login(address: SocketAddr, certificate: &Path, name: &str) -> Self {
        let mut client = Self::connect(address, certificate).unwrap();
        assert!(client.hear("Enter your username: "));
        client.send(&format!("{name}\n"));
        assert!(client.hear("Connected!"));
        client
    }
}

#[test]
fn a_renewed_certificate_is_used_at_once_and_no_open_connection_is_lost() {
    let world = World::up();
    let before: CertificateDer<'_> = CertificateDer::from_pem_file(world.certificate()).unwrap();
    let mut open: Vec<Client> =
        (0..OPEN).map(|n| Client::login(world.chat, &world.certificate(), &format!("user{n}"))).collect();
    world.renew();
    wait_for("the new certificate", || Client::connect(world.chat, &world.certificate()).ok());
    wait_for("the page's, too", || Client::connect(world.page, &world.certificate()).ok());
    assert!(Client::with(world.chat, before).is_err(), "the one before is not used any more");
    for (n, client) in open.iter_mut().enumerate() {
        client.send(&format!("user{n}: still here\n"));
        assert!(client.hear("still here"), "user{n}");
    }
    // Half a pair changes nothing, and says so.
    let certificate: CertificateDer<'_> = CertificateDer::from_pem_file(world.certificate()).unwrap();
    std::fs::write(world.launcher.home.data().join("tls/key.pem"), "no key\n").unwrap();
    wait_for("the status of the servers", || {
        let status = text(&world.launcher.home.run(&["status", "--json"]));
        (status.matches("has no private key in PEM").count() >= 3).then_some(())
    });
    assert!(Client::with(world.chat, certificate).is_ok());
    let doctor = world.launcher.home.command(&["doctor"]).args(settings()).output().unwrap();
    assert!(text(&doctor).contains("has no private key in PEM"), "{}", text(&doctor));
}

#[test]
fn an_expired_certificate_is_reported_and_refused_by_clients() {
    let world = World::up();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    let tls = world.launcher.home.data().join("tls");
    std::fs::write(tls.join("key.pem"), key.serialize_pem()).unwrap();
    std::fs::write(tls.join("certificate.pem"), certificate.pem()).unwrap();
    wait_for("the refusal", || {
        let error = Client::connect(world.chat, &world.certificate()).err()?;
        error.to_string().to_lowercase().contains("expired").then_some(())
    });
    let doctor = world.launcher.home.command(&["doctor"]).args(settings()).output().unwrap();
    assert!(text(&doctor).contains("expired"), "{}", text(&doctor));
    assert!(!doctor.status.success());
}

#[test]
fn a_restart_refuses_no_tls_client() {
    let world = World::up();
    for (name, address) in
        [("chat-server", world.chat), ("web-adapter", world.page), ("message-api", world.api)]
    {
        let (stop, made) = (AtomicBool::new(false), AtomicUsize::new(0));
        let certificate = world.certificate();
        let broken = std::thread::scope(|scope| {
            let visits: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut broken = 0;
                        while !stop.load(Ordering::Relaxed) {
                            match Client::connect(address, &certificate) {
                                Ok(_) => _ = made.fetch_add(1, Ordering::Relaxed),
                                Err(error) => {
                                    assert_ne!(error.kind(), std::io::ErrorKind::ConnectionRefused, "{name}");
                                    broken += 1;
                                }
                            }
                        }
                        broken
                    })
                })
                .collect();
            let more = |count| {
                let before = made.load(Ordering::Relaxed);
                wait_for("visitors", || (made.load(Ordering::Relaxed) >= before + count).then_some(()));
            };
            more(20);
            let restarted = world.launcher.home.run(&["restart", name]);
            assert!(restarted.status.success(), "{restarted:?}");
            more(20);
            stop.store(true, Ordering::Relaxed);
            visits.into_iter().map(|visit| visit.join().unwrap()).sum::<usize>()
        });
        let made = made.load(Ordering::Relaxed);
        println!("{name}: {made} handshakes, {broken} were interrupted by the end of the process before");
        // At most those of the moment: one of each visitor.
        assert!(broken <= 4, "{name}: {broken} handshakes broke");
    }
}
