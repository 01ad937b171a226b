//! The launcher's side of the control socket.
//!
//! * A connection is accepted while fewer than [`MAX_CONNECTIONS`] are open; the rest wait in the system's backlog.
//! * Its task reads one request of at most [`MAX_REQUEST`] bytes within [`IDLE`], and asks the driver.
//! * The driver answers from memory, at once; the task writes the answer and waits for the next request.
//!
//! A slow or silent client holds nothing but its own place, and that for a bounded time.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::request::{MAX_REQUEST, Request, Response, SOCKET};
use crate::short_path::ShortPath;

/// There are no more operators than this at the same time.
const MAX_CONNECTIONS: usize = 16;

/// Time limit for a client to send its request, and to read the response.
const IDLE: Duration = Duration::from_secs(10);

/// A request with its response channel.
pub(crate) struct ControlQuery {
    pub(crate) request: Request,
    /// Receives the response.
    pub(crate) answer: oneshot::Sender<Response>,
}

/// The listening socket; removed from the file system when dropped.
pub(crate) struct Server {
    accept: JoinHandle<()>,
    path: PathBuf,
    /// Its inode, to recognise it at its path.
    inode: u64,
}

impl Server {
    /// Binds the socket in `run_dir`. The caller holds the launcher's lock, so an existing socket is stale.
    pub(crate) fn bind(run_dir: &Path, asked: mpsc::Sender<ControlQuery>) -> io::Result<Self> {
        let path = run_dir.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(ShortPath::to(run_dir, SOCKET)?.path())?;
        // Between the two calls the directory's mode 0700 protects it.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let inode = std::fs::metadata(&path)?.ino();
        Ok(Self { accept: tokio::spawn(accept(listener, asked)), path, inode })
    }

    /// Closes it without removing whatever is at its path now.
    pub(crate) fn leave(mut self) {
        self.path = PathBuf::new();
    }

    /// Whether connections to its path arrive here.
    pub(crate) fn is_in_place(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accept.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, asked: mpsc::Sender<ControlQuery>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let asked = asked.clone();
                tokio::spawn(async move {
                    // Errors concern only the client.
                    let _ = converse(stream, asked).await;
                    drop(place);
                });
            }
            // Out of file descriptors or memory, which is temporary.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn converse(stream: UnixStream, asked: mpsc::Sender<ControlQuery>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Some(line) = read_line(&mut reader).await? {
        let response = match serde_json::from_slice(&line) {
            Ok(request) => ask(request, &asked).await,
            Err(error) => Response::Refused { reason: format!("malformed request: {error}") },
        };
        write_line(&mut writer, &response).await?;
    }
    Ok(())
}

/// Reads a line without its newline; `None` at the end. A line that is too long is an error.
async fn read_line(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = MAX_REQUEST as u64 + 1;
    let read = tokio::time::timeout(IDLE, reader.take(limit).read_until(b'\n', &mut line)).await;
    read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

async fn write_line(writer: &mut OwnedWriteHalf, response: &Response) -> io::Result<()> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    let written = tokio::time::timeout(IDLE, writer.write_all(&line)).await;
    written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn ask(request: Request, asked: &mpsc::Sender<ControlQuery>) -> Response {
    let ending = || Response::Refused { reason: "the launcher is ending".to_owned() };
    let (answer, answered) = oneshot::channel();
    if asked.send(ControlQuery { request, answer }).await.is_err() {
        return ending();
    }
    answered.await.unwrap_or_else(|_| ending())
}
