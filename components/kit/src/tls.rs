//! TLS for servers: one certificate for all ports of a process, replaced while connections are open.
//!
//! * [`pair`] loads a certificate chain and its key, and checks that they belong together.
//! * [`store`] is the pair in use. It follows the files: see [`Tls::follow`].
//! * [`handshakes`] bounds the handshakes in progress; [`accept`] performs one.
//! * [`connection`] is an encrypted connection, as [`crate::stream::Stream`] uses it.
//!
//! TLS 1.2 and 1.3, without session resumption: each new connection is given the certificate in use. Clients have no certificates. Files
//! are the only source of certificates for now; another one would replace the pair in [`store::Store`] as the files do.

pub mod accept;
pub mod handshakes;
pub mod pair;
pub mod validity;

pub(crate) mod connection;
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::version::{TLS12, TLS13};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::failure::Failure;
use accept::Acceptor;
use handshakes::Handshakes;
use pair::Files;
use store::Store;

/// The section `[tls]`: the certificate of all servers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The file with the certificate chain in PEM, the server's own certificate first. A relative path is in the data directory.
    pub certificate: Option<PathBuf>,
    /// The file with its private key in PEM.
    pub key: Option<PathBuf>,
}

impl Config {
    /// The files, if both are configured.
    #[must_use]
    pub fn files(&self, data: &Path) -> Option<Files> {
        let (certificate, key) = (self.certificate.as_ref()?, self.key.as_ref()?);
        Some(Files { certificate: data.join(certificate), key: data.join(key) })
    }
}

/// The certificate of this process, and the limits on its handshakes. Cheap to clone; clones share both.
#[derive(Debug, Clone)]
pub struct Tls {
    store: Arc<Store>,
    handshakes: Handshakes,
}

/// What is spoken within TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Any dialect of the chat server. It has no registered name, so that none is required.
    Chat,
    /// HTTP/1.1. A client that offers only other protocols is refused (RFC 7301).
    Http,
}

impl Tls {
    /// Loads the configured pair.
    ///
    /// # Errors
    /// If no pair is configured, or it cannot be used.
    pub fn open(config: &Config, data: &Path) -> Result<Self, Failure> {
        let failed = |what: String| Failure::new(Exit::Config, what);
        let files = config.files(data).ok_or_else(|| {
            failed(
                "a TLS port needs tls.certificate and tls.key; 'launcher tls self-signed' makes a pair"
                    .to_owned(),
            )
        })?;
        let store = Store::open(files).map_err(|error| failed(crate::failure::chain(&error)))?;
        Ok(Self { store: Arc::new(store), handshakes: Handshakes::default() })
    }

    /// Performs handshakes for connections that speak this protocol.
    #[must_use]
    pub fn acceptor(&self, protocol: Protocol) -> Acceptor {
        Acceptor::new(Arc::new(self.server_config(protocol)), self.handshakes.clone())
    }

    fn server_config(&self, protocol: Protocol) -> ServerConfig {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has cipher suites of both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.store) as _);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = match protocol {
            Protocol::Chat => Vec::new(),
            Protocol::Http => vec![b"http/1.1".to_vec()],
        };
        config
    }

    /// Replaces the pair whenever its files change, or at HUP, until `shutdown`. Open connections keep theirs. Files that cannot be used
    /// change nothing: `report` is called with the reason, and with `None` once they can be used again.
    pub async fn follow(self, shutdown: CancellationToken, report: impl Fn(Option<String>) + Send) {
        shutdown.run_until_cancelled(self.store.follow(report)).await;
    }
}

#[cfg(test)]
pub(crate) mod tests;
