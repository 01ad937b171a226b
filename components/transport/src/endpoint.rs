//! The address of a server, and connecting to it.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

/// Time limit for connecting to one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time limit for a name lookup.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Most addresses of one name that are tried. Overflow rule: further addresses are ignored.
const ADDRESSES: usize = 4;

/// A host, as a name or an IP address, and a port. A name is resolved anew for each connection, because a laptop changes networks and
/// servers move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// An endpoint whose host may be a name.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port }
    }

    /// Connects to the first address that answers: `localhost` often has two, and a server listens on one. Errors are human-readable.
    pub(crate) async fn connect(&self) -> Result<TcpStream> {
        let mut addresses = self.addresses().await?;
        addresses.dedup();
        addresses.truncate(ADDRESSES);
        let mut failed = self.unknown();
        for address in addresses {
            let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address));
            match connecting.await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                    failed = Error::new(error.kind(), "nothing listens there");
                }
                Ok(Err(error)) => failed = error,
                Err(_) => failed = Error::new(ErrorKind::TimedOut, "the server does not answer"),
            }
        }
        Err(failed)
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>> {
        let lookup = tokio::net::lookup_host((self.host.as_str(), self.port));
        match tokio::time::timeout(LOOKUP_TIMEOUT, lookup).await {
            Ok(Ok(addresses)) => Ok(addresses.collect()),
            Ok(Err(error)) => {
                tracing::debug!(%error, host = self.host, "no address is found");
                Err(self.unknown())
            }
            Err(_) => Err(self.unknown()),
        }
    }

    fn unknown(&self) -> Error {
        Error::new(ErrorKind::NotFound, format!("no address is found for the name {}", self.host))
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
            SocketAddr::V4(_) | SocketAddr::V6(_) => address.ip().to_string(),
        };
        Self { host, port: address.port() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_leads_to_whichever_of_its_addresses_answers() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = Endpoint::new("localhost", port).connect().await.unwrap();
        assert_eq!(stream.peer_addr().unwrap().port(), port);
    }

    #[tokio::test]
    async fn why_there_is_no_way_is_said_for_people() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let refused = Endpoint::from(address).connect().await.unwrap_err();
        assert_eq!(refused.to_string(), "nothing listens there");
        let unknown = Endpoint::new("no-such-host.invalid", 5000).connect().await.unwrap_err();
        assert_eq!(unknown.to_string(), "no address is found for the name no-such-host.invalid");
    }
}
