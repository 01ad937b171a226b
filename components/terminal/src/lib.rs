//! The terminal client: `launcher chat`.
//!
//! At a terminal it takes the whole screen, or edits lines; between pipes it reads lines and prints lines. Inside:
//!
//! * [`model`]: what happens, as a pure state machine. [`chat`]: drives it. [`command`]: what a typed line means.
//! * [`transcript`]: how things look; nothing of the server's reaches the terminal but through its filter, [`clean`].
//! * [`history`]: what was said, kept on this machine; [`outbox`] hands what waits there to the connection.
//! * [`console`]: the user's end. It is a [`screen`], or an [`input`] and an [`output`], which [`gate`] keeps apart on one terminal.

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
mod pipe;
mod prompt;
mod screen;
mod transcript;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kit::Failure;
use tokio_util::sync::CancellationToken;

pub use crate::history::{Format, HistoryOptions, print};

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
    /// The colours of the whole screen.
    pub theme: Theme,
    /// Whether the mouse is used on the whole screen.
    pub mouse: bool,
    /// Whether the bell rings for what comes while nobody looks at it, on the whole screen.
    pub bell: bool,
}

/// The colours of the whole screen. `NO_COLOR` in the environment means [`Theme::Mono`], whatever is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    /// The terminal's eight colours, for any background.
    #[default]
    Basic,
    /// Bright colours, for a dark background.
    Dark,
    /// Dark colours, for a light background.
    Light,
    /// None at all.
    Mono,
}

/// How a chat is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// As fits: the whole screen at a terminal, lines between pipes and at a terminal that can do no more.
    #[default]
    Auto,
    /// Line by line: for pipes, screen readers and terminals that can do no more.
    Plain,
    /// Read and write one JSON object per line.
    Json,
}

/// Chats until the user leaves, standard input ends or `shutdown` is cancelled. Prints to standard output, and what is not a
/// message to standard error where that is no terminal.
///
/// # Errors
/// When the name or the server is wrong, or something could not be sent.
pub async fn run(options: Options, shutdown: CancellationToken) -> Result<(), Failure> {
    tokio::select! {
        result = login::converse(options, &shutdown) => result,
        () = async { shutdown.cancelled().await; tokio::time::sleep(SHUTDOWN).await } => Ok(()),
    }
}
