//! The terminal client: `launcher chat`.
//!
//! At a terminal it is a conversation with line editing; between pipes it reads lines and prints lines. Inside:
//!
//! * [`model`]: what happens, as a pure state machine. [`chat`]: drives it. [`command`]: what a typed line means.
//! * [`transcript`]: how things look; nothing of the server's reaches the terminal but through its filter, [`clean`].
//! * [`history`]: what was said, kept on this machine; [`outbox`] hands what waits there to the connection.
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
mod history;
mod input;
mod item;
mod json;
mod login;
mod model;
mod outbox;
mod output;
mod palette;
mod pending;
mod people;
mod prompt;
mod transcript;

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kit::Failure;
use tokio_util::sync::CancellationToken;

pub use crate::history::{Format, HistoryOptions, print};

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
    /// How the chat is shown.
    pub mode: Mode,
    /// The directory of the history; without one nothing is kept.
    pub history: Option<PathBuf>,
}

/// How a chat is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// As fits: a conversation at a terminal, lines between pipes.
    #[default]
    Auto,
    /// Line by line: for pipes, screen readers and terminals that can do no more.
    Plain,
    /// One JSON object a line in both directions, for programs.
    Json,
}

/// Chats until the user leaves, standard input ends or `shutdown` is cancelled. Prints to standard output, and what is not a
/// message to standard error where that is no terminal.
///
/// # Errors
/// When the name or the server is wrong, or something could not be sent.
pub async fn run(options: Options, shutdown: CancellationToken) -> Result<(), Failure> {
    let typed_lines = options.history.as_ref().and_then(|directory| typed_lines(directory));
    let mut console = Console::open(options.mode, typed_lines)?;
    tokio::select! {
        result = login::converse(options, &mut console, &shutdown) => result,
        () = async { shutdown.cancelled().await; tokio::time::sleep(SHUTDOWN).await } => Ok(()),
    }
}

/// Where the line editor remembers what was typed, in a directory that is the user's alone.
fn typed_lines(directory: &Path) -> Option<PathBuf> {
    match std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory) {
        Ok(()) => Some(directory.join("chat-history")),
        Err(error) => {
            tracing::debug!(%error, "typed lines are not remembered");
            None
        }
    }
}
