//! Where a server is, and the way there.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long it may take to find out the addresses of a name.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried. Overflow rule: the others are not.
const ADDRESSES: usize = 4;

/// A host, by its name or its number, and a port. A name is looked up anew for each connection: a laptop may be where it is not
/// known now, and a server may move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// A host that may be a name.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port }
    }

    /// Connects to the first address that answers: `localhost` is often two, and a server listens on one. Errors are for people.
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
