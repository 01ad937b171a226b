//! Whether a server with TLS is the one it claims to be, before anything is sent to it.

use std::io::ErrorKind;
use std::path::PathBuf;

use kit::{Exit, Failure};
use transport::TlsClient;
use transport::known_servers::KnownServers;
use transport::tls::Met;

use crate::address::Address;

/// Connects once. A server that cannot be reached now is tried again by the chat; one that cannot be trusted ends it.
///
/// Returns the client for all further connections, and what the user should know.
pub(crate) async fn meet(address: &Address, known: PathBuf) -> Result<(TlsClient, Option<String>), Failure> {
    let client = address
        .tls(KnownServers::new(known))
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    match client.try_connect(&address.endpoint()).await {
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(Failure::new(Exit::Failure, format!("cannot trust the server {address}: {error}")));
        }
        Ok(()) | Err(_) => {}
    }
    let notice = match client.met() {
        Some(Met::First(fingerprint)) => Some(format!(
            "no authority vouches for {address}; its certificate is remembered, with the fingerprint\n  {fingerprint}\n\
             compare it with what 'launcher tls show' prints on the server"
        )),
        Some(Met::Authority | Met::Known) | None => None,
    };
    Ok((client, notice))
}
