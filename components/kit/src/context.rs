//! What every component is run with.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use crate::notify::Notifier;
use crate::secret::Secret;

/// The environment variable that holds the service token.
pub const SERVICE_TOKEN: &str = "P2P_SERVICE_TOKEN";

/// How a component is tied to the process it runs in.
#[derive(Debug, Clone)]
pub struct Context {
    /// Cancelled when the component must end. It stops accepting, lets what is under way finish, and returns.
    pub shutdown: CancellationToken,
    /// Where it says that it is ready, and how it is.
    pub notifier: Notifier,
    /// Opens the message API's own endpoints and the services' names; made fresh at each start of the launcher.
    pub service_token: Secret,
    /// Where files are kept.
    pub data: PathBuf,
}

/// Installs the one TLS implementation of this process. Call it before anything makes a client; later calls change nothing.
pub fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
