//! Where connections come in, and what those hear for whom there is no place.

use std::net::SocketAddr;

use kit::places::NoPlace;
use tokio::net::TcpStream;

use crate::dialect::Dialect;
use crate::dialect::decoder::BeginsRaw;
use crate::server::Server;

pub(super) const FULL: &str = "The server is full, please try again later. Disconnecting...\n";
const ADDRESS_FULL: &str = "Too many connections from your address. Disconnecting...\n";

/// By which of the server's ports a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Of everybody. They are asked in this dialect, and their first byte may tell another one.
    Main(Dialect),
    /// Of those who speak this dialect.
    Only(Dialect),
    /// The first one while all places are taken: for services alone, in a dialect that its first byte tells.
    Service,
}

impl Door {
    /// Which first bytes tell a dialect of programs here.
    pub(crate) fn begins_raw(self) -> BeginsRaw {
        match self {
            Self::Main(_) | Self::Service => |byte| Dialect::told_by(byte).is_some(),
            Self::Only(_) => |_| false,
        }
    }
}

/// A fresh connection's send buffer is empty, so one line fits; refusing a connection costs nothing more.
pub(crate) fn turn_away(server: &Server, stream: &TcpStream, peer: SocketAddr, no_place: NoPlace) {
    let line = match no_place {
        NoPlace::Full => FULL,
        NoPlace::Address => ADDRESS_FULL,
    };
    let _ = stream.try_write(line.as_bytes());
    server.metrics.turned_away.add(1);
    server.journal.refused(peer, line.trim_end());
}
