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
mod options;
mod outbox;
mod output;
mod palette;
mod pending;
mod people;
mod pipe;
mod prompt;
mod screen;
mod transcript;
mod typed;

use std::time::Duration;

use kit::Failure;
use tokio_util::sync::CancellationToken;

pub use crate::history::{Format, HistoryOptions, print};
pub use crate::options::{Mode, Options, Theme};

/// How long the end may take once `shutdown` is cancelled, whatever hangs.
const SHUTDOWN: Duration = Duration::from_secs(3);

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
