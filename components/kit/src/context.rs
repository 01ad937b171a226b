//! What every component receives when it starts.

use std::path::PathBuf;
use std::pin::Pin;

use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::notify::Notifier;
use crate::secret::Secret;

/// The environment variable that holds the service token.
pub const SERVICE_TOKEN: &str = "P2P_SERVICE_TOKEN";

/// A running component, until it has stopped. It is boxed in the component's crate, because the compiler translates an asynchronous function
/// where it is awaited: an unboxed one would be built with the launcher, last of all and once more in each test.
pub type Running = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// A component's environment in its process.
#[derive(Debug, Clone)]
pub struct Context {
    /// Cancelled when the component must stop. It stops accepting, finishes what is in flight, and returns.
    pub shutdown: CancellationToken,
    /// Reports readiness and status.
    pub notifier: Notifier,
    /// Grants access to the message API's internal endpoints and to the services' names; generated at each start of the launcher.
    pub service_token: Secret,
    /// The data directory.
    pub data: PathBuf,
}

/// Installs the process-wide TLS implementation. Call it before creating a client; later calls have no effect.
pub fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
