//! A client's side of TLS: whom to trust, and the handshake.
//!
//! A server is trusted if an authority that this machine knows has signed its certificate for the name that was dialled. Any other is
//! trusted on first use: the fingerprint of its certificate is remembered in [`known_servers`](crate::known_servers), and another one is
//! refused from then on.

use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::endpoint::Endpoint;
use crate::known_servers::{KnownServers, Trust};

/// Time limit for a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection's input.
pub(crate) type Input = Box<dyn AsyncRead + Send + Unpin>;
/// A connection's output.
pub(crate) type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// Connects to one server with TLS. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    verifier: Arc<Verifier>,
}

/// What a new connection showed about its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Met {
    /// An authority vouches for its name.
    Authority,
    /// Its certificate is the one of before.
    Known,
    /// Nobody vouches for it; from now on its certificate is known. This is its fingerprint.
    First(String),
}

impl TlsClient {
    /// A client of the server at this host and port. Reads the certificates of authorities from this machine.
    ///
    /// # Errors
    /// If the host is neither a name nor an IP address.
    pub fn new(host: &str, port: u16, known: KnownServers) -> Result<Self> {
        let name = ServerName::try_from(host.to_owned());
        let name =
            name.map_err(|_| Error::new(ErrorKind::InvalidInput, format!("'{host}' is no name for TLS")))?;
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let server = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let verifier = Arc::new(Verifier {
            // Without any root certificate there is none.
            authorities: authorities.build().ok(),
            provider: Arc::clone(&provider),
            server,
            known,
            met: Mutex::default(),
        });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites of both versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
            .with_no_client_auth();
        // Each connection shows its certificate.
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), name, verifier })
    }

    /// What the last connection showed about the server.
    #[must_use]
    pub fn met(&self) -> Option<Met> {
        self.verifier.met.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Connects and ends the connection: whether the server can be trusted is known before the chat begins.
    ///
    /// # Errors
    /// Human-readable; of kind `InvalidData` if it cannot be trusted, or speaks no TLS.
    pub async fn try_connect(&self, server: &Endpoint) -> Result<()> {
        connect(server, Some(self)).await.map(drop)
    }

    /// Performs the handshake. Errors are human-readable; one of kind `InvalidData` says that the server is not to be trusted, or speaks no
    /// TLS.
    async fn handshake(&self, stream: TcpStream) -> Result<(Input, Output)> {
        let connecting = TlsConnector::from(Arc::clone(&self.config)).connect(self.name.clone(), stream);
        let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(explained(error)),
            Err(_) => {
                return Err(Error::new(ErrorKind::TimedOut, "the server does not answer the TLS handshake"));
            }
        };
        let (input, output) = tokio::io::split(stream);
        Ok((Box::new(input), Box::new(output)))
    }
}

/// A new connection.
pub(crate) async fn connect(server: &Endpoint, tls: Option<&TlsClient>) -> Result<(Input, Output)> {
    let stream = server.connect().await?;
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => tls.handshake(stream).await,
        None => {
            let (input, output) = stream.into_split();
            Ok((Box::new(input), Box::new(output)))
        }
    }
}

fn explained(error: Error) -> Error {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let text = match cause {
        Some(rustls::Error::General(text)) => text.clone(),
        Some(rustls::Error::InvalidMessage(_)) => {
            "this port does not speak TLS; is it the right one?".to_owned()
        }
        Some(other) => format!("the TLS handshake failed: {other}"),
        None => return error,
    };
    Error::new(ErrorKind::InvalidData, text)
}

#[derive(Debug)]
struct Verifier {
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    /// As it stands in the file.
    server: String,
    known: KnownServers,
    met: Mutex<Option<Met>>,
}

impl Verifier {
    fn decide(&self, fingerprint: &str, vouched: std::result::Result<(), rustls::Error>) -> Result<Met> {
        let refused = |text: String| Error::new(ErrorKind::InvalidData, text);
        match (self.known.find(&self.server)?, vouched) {
            (Some(Trust::Fingerprint(known)), _) if known == fingerprint => Ok(Met::Known),
            (Some(Trust::Authority) | None, Ok(())) => {
                self.known.remember(&self.server, &Trust::Authority)?;
                Ok(Met::Authority)
            }
            // From a certificate of its own to one of an authority: the owner of the name has that.
            (Some(Trust::Fingerprint(_)), Ok(())) => {
                self.known.remember(&self.server, &Trust::Authority)?;
                Ok(Met::Authority)
            }
            (None, Err(_)) => {
                self.known.remember(&self.server, &Trust::Fingerprint(fingerprint.to_owned()))?;
                Ok(Met::First(fingerprint.to_owned()))
            }
            (Some(Trust::Fingerprint(known)), Err(_)) => Err(refused(format!(
                "the certificate of {} is another one than before: {fingerprint}, not {known}. Either its owner has replaced it, or \
                 somebody stands between you and the server. Compare it with what 'launcher tls show' prints on the server; if it is \
                 right, remove the line of this server from {}",
                self.server,
                self.known.file().display()
            ))),
            (Some(Trust::Authority), Err(error)) => Err(refused(format!(
                "no authority vouches for {} any more, as one did before: {error}. Its certificate may have expired, or somebody stands \
                 between you and the server; to trust its certificate all the same, remove the line of this server from {}",
                self.server,
                self.known.file().display()
            ))),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let vouched = match &self.authorities {
            Some(authorities) => authorities.verify_server_cert(shown, between, name, ocsp, now).map(|_| ()),
            None => Err(rustls::Error::General("this machine has no root certificates".to_owned())),
        };
        let fingerprint = kit::tls::pair::show(&kit::tls::pair::fingerprint(shown));
        let met =
            self.decide(&fingerprint, vouched).map_err(|error| rustls::Error::General(error.to_string()))?;
        *self.met.lock().unwrap_or_else(PoisonError::into_inner) = Some(met);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, shown, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, shown, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verifier(directory: &std::path::Path) -> Verifier {
        Verifier {
            authorities: None,
            provider: Arc::new(ring::default_provider()),
            server: "nas.lan:5443".to_owned(),
            known: KnownServers::new(directory.join("known-servers")),
            met: Mutex::default(),
        }
    }

    fn nobody() -> std::result::Result<(), rustls::Error> {
        Err(rustls::Error::General("unknown issuer".to_owned()))
    }

    #[test]
    fn a_certificate_is_trusted_on_first_use_and_another_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let verifier = verifier(directory.path());
        assert_eq!(verifier.decide("AA:BB", nobody()).unwrap(), Met::First("AA:BB".to_owned()));
        assert_eq!(verifier.decide("AA:BB", nobody()).unwrap(), Met::Known);
        let refused = verifier.decide("CC:DD", nobody()).unwrap_err().to_string();
        assert!(refused.contains("CC:DD, not AA:BB") && refused.contains("known-servers"), "{refused}");
        assert_eq!(verifier.decide("AA:BB", nobody()).unwrap(), Met::Known, "nothing was replaced");
    }

    #[test]
    fn a_name_that_an_authority_vouched_for_is_never_trusted_without_one() {
        let directory = tempfile::tempdir().unwrap();
        let verifier = verifier(directory.path());
        assert_eq!(verifier.decide("AA:BB", Ok(())).unwrap(), Met::Authority);
        assert_eq!(verifier.decide("CC:DD", Ok(())).unwrap(), Met::Authority, "renewed");
        let refused = verifier.decide("CC:DD", nobody()).unwrap_err().to_string();
        assert!(refused.contains("no authority vouches for nas.lan:5443 any more"), "{refused}");
    }
}
