//! The ports on which connections arrive, and the rejection of those beyond the connection limits.

use std::net::SocketAddr;

use kit::places::NoPlace;
use kit::tls::accept::Acceptor;
use tokio::net::{TcpListener, TcpStream};

use crate::dialect::Dialect;
use crate::dialect::decoder::BeginsRaw;
use crate::server::Server;

pub(super) const FULL: &str = "The server is full, please try again later. Disconnecting...\n";
const ADDRESS_FULL: &str = "Too many connections from your address. Disconnecting...\n";

/// The port on which a connection arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// The main port. Its default dialect is this one, and a connection's first byte may select another.
    Main(Dialect),
    /// A port of this dialect alone.
    Dedicated(Dialect),
    /// The main port while all places are taken: for services alone, which select their dialect with the first byte.
    MainForServices,
}

/// Where connections of a port arrive, encrypted or not.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) port: Port,
    pub(crate) listener: TcpListener,
    /// Performs the handshakes, if it speaks TLS.
    pub(crate) tls: Option<Acceptor>,
}

impl Port {
    /// The first bytes that select a dialect for programs on this port.
    pub(crate) fn begins_raw(self) -> BeginsRaw {
        match self {
            Self::Main(_) | Self::MainForServices => |byte| Dialect::detect(byte).is_some(),
            Self::Dedicated(_) => |_| false,
        }
    }
}

/// Rejects a connection without a task: the send buffer of a fresh connection is empty, so that one line always fits.
pub(crate) fn reject(server: &Server, stream: &TcpStream, peer: SocketAddr, no_place: NoPlace) {
    let line = match no_place {
        NoPlace::Full => FULL,
        NoPlace::Address => ADDRESS_FULL,
    };
    let _ = stream.try_write(line.as_bytes());
    server.metrics.rejected.add(1);
    server.login_log.rejected(peer, line.trim_end());
}
