//! Connections from a proxy, which start with a header that names the client: see [`header`].

pub mod header;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use header::Parsed;

/// How long to wait for the header; proxies send it at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait if the proxy is on this machine, where clients without a header connect, too.
const LOCAL_PATIENCE: Duration = Duration::from_millis(300);
/// Bytes per read.
const READ: usize = 512;

/// The start of a connection from a listed proxy.
#[derive(Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The client if the proxy named one; otherwise the proxy's own address.
    pub client: SocketAddr,
    /// Whether there was a header.
    pub is_proxied: bool,
    /// Bytes after the header that were already read.
    pub rest: Vec<u8>,
}

/// A proxy on another machine sent no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this address is listed as a proxy's and sent no PROXY header")]
pub struct NoHeader;

/// Reads the header of a connection from a listed address. From loopback, a connection may come without one, because other programs run on
/// the proxy's machine, including our own.
///
/// Bound: [`header::LONGEST`] bytes and one read, for five seconds at most.
///
/// # Errors
/// When the header is missing.
pub async fn begin(stream: &mut TcpStream, proxy: SocketAddr) -> Result<Beginning, NoHeader> {
    let is_local = proxy.ip().to_canonical().is_loopback();
    let deadline = Instant::now() + if is_local { LOCAL_PATIENCE } else { PATIENCE };
    let mut read = Vec::new();
    while read.len() < header::LONGEST {
        read.reserve(READ);
        // Yields to other tasks even if a peer sends byte by byte, because the read uses the task's budget.
        match tokio::time::timeout_at(deadline, stream.read_buf(&mut read)).await {
            Ok(Ok(1..)) => {}
            // End of input, or timeout.
            Ok(Ok(0) | Err(_)) | Err(_) => break,
        }
        match header::parse(&read) {
            Parsed::Header(client, length) => {
                let rest = read.split_off(length);
                return Ok(Beginning { client: client.unwrap_or(proxy), is_proxied: true, rest });
            }
            Parsed::Incomplete => {}
            Parsed::Invalid => break,
        }
    }
    if is_local { Ok(Beginning { client: proxy, is_proxied: false, rest: read }) } else { Err(NoHeader) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    /// The result for a connection on which these pieces are sent. `None` stands for loopback as the proxy's address.
    async fn begun(proxy: Option<&str>, pieces: &[&[u8]]) -> Result<Beginning, NoHeader> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, address) = listener.accept().await.unwrap();
        let proxy = proxy.map_or(address, |proxy| proxy.parse().unwrap());
        let sends = async {
            for piece in pieces {
                peer.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            peer.shutdown().await.unwrap();
        };
        tokio::join!(begin(&mut stream, proxy), sends).0
    }

    #[tokio::test]
    async fn a_header_in_any_pieces_tells_the_client_and_what_follows_is_kept() {
        let client = "192.0.2.7:56324".parse().unwrap();
        let sent = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 5000\r\nGET /";
        let expected = Beginning { client, is_proxied: true, rest: b"GET /".to_vec() };
        assert_eq!(begun(Some("198.51.100.9:1"), &[sent]).await.as_ref(), Ok(&expected));
        let bytes: Vec<&[u8]> = sent[..47].chunks(1).chain([&sent[47..]]).collect();
        let Beginning { client, is_proxied, .. } = begun(None, &bytes).await.unwrap();
        assert_eq!((client, is_proxied), (expected.client, true));
    }

    #[tokio::test]
    async fn from_this_machine_a_connection_may_come_without_a_header_and_from_others_not() {
        let without = begun(None, &[b"GET /"]).await.unwrap();
        assert_eq!((without.is_proxied, &without.rest[..]), (false, &b"GET /"[..]));
        assert_eq!(begun(Some("198.51.100.9:1"), &[b"GET /"]).await, Err(NoHeader));
        let endless = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"[..], &[b'x'; 100_000]].concat();
        assert_eq!(begun(Some("198.51.100.9:1"), &[&endless]).await, Err(NoHeader));
    }
}
