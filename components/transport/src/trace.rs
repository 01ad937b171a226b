//! Asks the chat server for the trace of a message, as a service: its token is all that it has to say.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use kit::Secret;
use protocol::limits::SERVER_FRAME_BYTES;
use protocol::native::{ClientFrame, ServerFrame, Trace, TraceRequest};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Time limit for the chat server, which answers from memory.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The chat server cannot be reached.
    #[error(transparent)]
    Unreachable(#[from] io::Error),
    /// It knows no trace of the message, with its reason.
    #[error("{0}")]
    Refused(String),
    /// It answered something else.
    #[error("unexpected answer; does it run another version?")]
    Unexpected,
}

/// The trace of a message, by its id or `client_id`.
///
/// # Errors
/// See [`TraceError`]. It is given up after five seconds.
pub async fn trace(server: SocketAddr, message: &str, token: &Secret) -> Result<Trace, TraceError> {
    let answer = tokio::time::timeout(TIMEOUT, ask(server, message, token)).await;
    match answer.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? {
        ServerFrame::Trace(trace) => Ok(trace),
        ServerFrame::Error(error) => Err(TraceError::Refused(error.message)),
        _ => Err(TraceError::Unexpected),
    }
}

async fn ask(server: SocketAddr, message: &str, token: &Secret) -> io::Result<ServerFrame> {
    let mut stream = TcpStream::connect(server).await?;
    let token = Some(token.expose().to_owned());
    let request = ClientFrame::Trace(TraceRequest { message: message.to_owned(), token });
    stream.write_all(format!("{}\n", serde_json::to_string(&request)?).as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(stream.take(SERVER_FRAME_BYTES as u64)).read_line(&mut line).await?;
    // The prompt of the text dialect precedes the answer.
    let frame = line.find('{').map_or("", |at| &line[at..]);
    Ok(serde_json::from_str(frame)?)
}
