//! The client of the control socket.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::request::{Request, Response, SOCKET};
use crate::run_dir::run_dir;
use crate::short_path::ShortPath;

/// Time limit for an answer. The launcher answers at once, unless the machine is overloaded.
const DEADLINE: Duration = Duration::from_secs(10);

/// The maximum size of a response in bytes; far more than the status of a thousand components.
const MAX_RESPONSE: u64 = 4 << 20;

/// The running launcher could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No launcher is running.
    #[error("no launcher runs on the data directory {}", .0.display())]
    NotRunning(PathBuf),
    /// The socket does not work.
    #[error("the launcher on the data directory {} cannot be reached", data.display())]
    Io {
        /// The data directory.
        data: PathBuf,
        /// The underlying error.
        source: io::Error,
    },
    /// The launcher did not answer in time.
    #[error("the launcher on the data directory {} does not answer within {} s", .0.display(), DEADLINE.as_secs())]
    Silent(PathBuf),
    /// The answer was invalid.
    #[error("malformed answer from the launcher; does it run another version?")]
    Answer(#[source] serde_json::Error),
}

/// Sends a request to the launcher on a data directory.
///
/// # Errors
/// If none is running there, or it cannot be reached or does not answer within 10 s.
pub async fn request(data: &Path, request: &Request) -> Result<Response, ControlError> {
    match tokio::time::timeout(DEADLINE, exchange(data, request)).await {
        Err(_) => Err(ControlError::Silent(data.to_owned())),
        Ok(Err(error)) if is_absence(&error) => Err(ControlError::NotRunning(data.to_owned())),
        Ok(Err(source)) => Err(ControlError::Io { data: data.to_owned(), source }),
        Ok(Ok(line)) => serde_json::from_slice(&line).map_err(ControlError::Answer),
    }
}

/// Waits until the launcher on a data directory has ended; returns whether it did so in time.
pub async fn wait_until_gone(data: &Path, timeout: Duration) -> bool {
    let ended = async {
        // The launcher holds its lock until its very end, whatever happens to its socket.
        while is_locked(data) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(timeout, ended).await.is_ok()
}

async fn exchange(data: &Path, request: &Request) -> io::Result<Vec<u8>> {
    let socket = ShortPath::to(&run_dir(data), SOCKET)?;
    let mut stream = UnixStream::connect(socket.path()).await?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = Vec::new();
    BufReader::new(stream.take(MAX_RESPONSE)).read_until(b'\n', &mut answer).await?;
    if answer.last() == Some(&b'\n') { Ok(answer) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn is_locked(data: &Path) -> bool {
    let lock = File::open(run_dir(data).join(crate::lock::LAUNCHER_LOCK));
    lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}
