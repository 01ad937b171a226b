//! A plain connection to the chat server that carries native frames as they are. Leaves out reconnecting: that is the page's.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use protocol::limits::SERVER_FRAME_BYTES;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use transport::lines::{Line, Lines};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A server that takes nothing for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the server may take to read what was said last.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// One connection to a chat server.
#[derive(Debug)]
pub(crate) struct Upstream {
    lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Upstream {
    pub(crate) async fn connect(server: SocketAddr) -> io::Result<Self> {
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(server)).await??;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Self { lines: Lines::new(reader, SERVER_FRAME_BYTES), writer })
    }

    /// Writes one line, its end included.
    pub(crate) async fn write(&mut self, line: &[u8]) -> io::Result<()> {
        timeout(WRITE_TIMEOUT, self.writer.write_all(line)).await?
    }

    /// The next frame, or `None` when the server is gone. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            match self.lines.next().await {
                // The prompt for people stands before the first frame.
                Ok(Some(Line::Text(mut line))) => match line.find('{') {
                    Some(0) => return Some(line),
                    Some(start) => return Some(line.split_off(start)),
                    None => {}
                },
                Ok(Some(Line::TooLong)) => tracing::warn!("the chat server sent a frame that is too long"),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// Ends in good order: what we wrote is read before the connection is gone. Closed with bytes unread, it would be reset,
    /// and the server could lose a message that it had not read yet.
    pub(crate) async fn close(mut self) {
        // A server that is gone already needs no farewell.
        let _ = self.writer.shutdown().await;
        let rest = async { while self.next().await.is_some() {} };
        let _ = timeout(CLOSE_TIMEOUT, rest).await;
    }
}
