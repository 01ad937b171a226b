//! The terminal client: `launcher chat`.

use std::net::SocketAddr;

use kit::Failure;
use tokio_util::sync::CancellationToken;

/// Who chats, and with which server. What is missing is asked for on a terminal.
#[derive(Debug, Clone)]
pub struct Options {
    /// `HOST:PORT` or `HOST` of the chat server.
    pub server: Option<String>,
    /// The user's name.
    pub name: Option<String>,
    /// The server where none is named: this machine's own.
    pub default_server: SocketAddr,
}

/// Chats until the user leaves, standard input ends or `shutdown` is cancelled.
///
/// # Errors
/// When the name or the server is wrong, or something could not be sent.
#[expect(clippy::unused_async, reason = "the interface comes before what it does")]
pub async fn run(_options: Options, _shutdown: CancellationToken) -> Result<(), Failure> {
    Ok(())
}
