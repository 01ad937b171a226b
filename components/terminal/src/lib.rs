//! The terminal client: `launcher chat`.
//!
//! At a terminal it is a conversation with line editing; between pipes it reads lines and prints lines. Inside:
//!
//! * [`model`]: what happens, as a pure state machine. [`chat`]: drives it. [`command`]: what a typed line means.
//! * [`transcript`]: how things look; nothing of the server's reaches the terminal but through its filter, [`clean`].
//! * [`console`]: the user's end, of an [`input`] and an [`output`]; [`gate`] keeps the two apart on one terminal.

mod address;
mod chat;
mod clean;
mod clock;
mod command;
mod completion;
mod console;
mod cursors;
mod editor;
mod gate;
mod helper;
mod input;
mod item;
mod login;
mod model;
mod output;
mod palette;
mod pending;
mod people;
mod prompt;
mod transcript;

use std::net::SocketAddr;
use std::time::Duration;

use kit::Failure;
use tokio_util::sync::CancellationToken;

use crate::console::Console;

/// How long the end may take once `shutdown` is cancelled, whatever hangs.
const SHUTDOWN: Duration = Duration::from_secs(3);

/// Who chats, and with which server. What is missing is asked for where somebody sits there.
#[derive(Debug, Clone)]
pub struct Options {
    /// `HOST:PORT` or `HOST` of the chat server.
    pub server: Option<String>,
    /// The user's name.
    pub name: Option<String>,
    /// The server where none is named: this machine's own.
    pub default_server: SocketAddr,
}

/// Chats until the user leaves, standard input ends or `shutdown` is cancelled. Prints to standard output, and what is not a
/// message to standard error where that is no terminal.
///
/// # Errors
/// When the name or the server is wrong, or something could not be sent.
pub async fn run(options: Options, shutdown: CancellationToken) -> Result<(), Failure> {
    let mut console = Console::open()?;
    tokio::select! {
        result = login::converse(options, &mut console, &shutdown) => result,
        () = async { shutdown.cancelled().await; tokio::time::sleep(SHUTDOWN).await } => Ok(()),
    }
}
