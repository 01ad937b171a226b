//! A connection to the chat server that carries native frames unchanged. Reconnecting is left to the page.

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
/// A server that does not read for this long counts as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time limit for the server to read the last output.
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
                // The prompt for interactive users precedes the first frame.
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

    /// Closes so that the server reads all output: closing with unread input would reset the connection, and the server could lose a
    /// message that it has not read yet.
    pub(crate) async fn close(mut self) {
        // Errors are ignored: the server may have gone.
        let _ = self.writer.shutdown().await;
        let rest = async { while self.next().await.is_some() {} };
        let _ = timeout(CLOSE_TIMEOUT, rest).await;
    }
}
