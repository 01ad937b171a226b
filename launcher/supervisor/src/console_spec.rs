//! Where the launcher's console listens, and what it allows.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Begins the path of a Unix socket.
const UNIX: &str = "unix:";

/// The console of the launcher: control over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleSpec {
    /// Where it listens.
    pub listen: ConsoleAddress,
    /// Whether it only shows, and changes nothing.
    pub read_only: bool,
}

/// An address, or the path of a Unix socket: `127.0.0.1:9200`, `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ConsoleAddress {
    /// A port.
    Tcp(SocketAddr),
    /// A socket in the file system; a relative path is in the data directory.
    Unix(PathBuf),
}

/// It is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an IP address with a port, such as 127.0.0.1:9200, or unix:PATH")]
pub struct NoConsoleAddress;

impl ConsoleAddress {
    /// Its address, where it has a port.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl FromStr for ConsoleAddress {
    type Err = NoConsoleAddress;

    fn from_str(text: &str) -> Result<Self, NoConsoleAddress> {
        match text.strip_prefix(UNIX) {
            Some("") => Err(NoConsoleAddress),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| NoConsoleAddress),
        }
    }
}

impl TryFrom<String> for ConsoleAddress {
    type Error = NoConsoleAddress;

    fn try_from(text: String) -> Result<Self, NoConsoleAddress> {
        text.parse()
    }
}

impl From<ConsoleAddress> for String {
    fn from(address: ConsoleAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for ConsoleAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_or_a_path() {
        for text in ["127.0.0.1:9200", "[::1]:9200", "unix:console.sock", "unix:/run/p2p/console.sock"] {
            assert_eq!(text.parse::<ConsoleAddress>().unwrap().to_string(), text);
        }
        for text in ["", "9200", "127.0.0.1", "unix:", "localhost:9200"] {
            assert_eq!(text.parse::<ConsoleAddress>(), Err(NoConsoleAddress), "{text}");
        }
    }
}
