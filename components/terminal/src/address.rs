//! The chat server's address, `HOST:PORT` or `HOST`, as users write it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use protocol::sanitise;
use transport::known_servers::KnownServers;
use transport::{Endpoint, TlsClient};

/// The default port, without TLS and with it.
const PORT: u16 = 5000;
const TLS_PORT: u16 = 5443;

/// A chat server's address as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

/// The text is not a valid server address.
#[derive(Debug, thiserror::Error)]
#[error("invalid server '{0}': expected HOST:PORT, such as 127.0.0.1:5000")]
pub(crate) struct AddressError(String);

impl Address {
    /// Parses `HOST`, `HOST:PORT`, an IPv6 address or `[IPV6]:PORT`.
    pub(crate) fn parse(text: &str, is_tls: bool) -> Result<Self, AddressError> {
        let text = text.trim();
        let default = if is_tls { TLS_PORT } else { PORT };
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self { host: ip.to_string(), port: default });
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self::from(address));
        }
        let syntax = || AddressError(sanitise::short_line(text, 80).into_owned());
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| syntax())?),
            None => (text, default),
        };
        let is_host = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
        if host.is_empty() || host.len() > 253 || port == 0 || !host.chars().all(is_host) {
            return Err(syntax());
        }
        Ok(Self { host: host.to_owned(), port })
    }

    /// A client that encrypts connections to it.
    pub(crate) fn tls(&self, known: KnownServers) -> std::io::Result<TlsClient> {
        TlsClient::new(&self.host, self.port, known)
    }

    /// The endpoint to connect to.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::new(&self.host, self.port)
    }
}

impl From<SocketAddr> for Address {
    /// The wildcard address becomes loopback.
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        Self { host: ip.to_string(), port: address.port() }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        Address::parse(text, false).unwrap().to_string()
    }

    #[test]
    fn servers_as_people_write_them() {
        assert_eq!(parsed("chat.example.org"), "chat.example.org:5000");
        assert_eq!(parsed(" localhost:6000 "), "localhost:6000");
        assert_eq!(parsed("10.0.0.1"), "10.0.0.1:5000");
        assert_eq!(parsed("::1"), "[::1]:5000");
        assert_eq!(parsed("[::1]:6000"), "[::1]:6000");
        assert_eq!(parsed("0.0.0.0:5000"), "127.0.0.1:5000");
        assert_eq!(Address::parse("nas.lan", true).unwrap().to_string(), "nas.lan:5443");
        for wrong in ["", ":5000", "host:", "host:x", "host:0", "host:70000", "a b", "http://x", "x\u{1b}"] {
            assert!(matches!(Address::parse(wrong, false), Err(AddressError(_))), "{wrong:?}");
        }
    }
}
