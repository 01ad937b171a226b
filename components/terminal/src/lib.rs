//! The terminal client: `launcher chat`.
//!
//! At a terminal it uses the full screen or edits lines; with pipes it reads and prints lines. Inside:
//!
//! * [`model`]: what happens, as a pure state machine. [`chat`]: drives it. [`command`]: what a typed line means.
//! * [`transcript`]: formatting; all text from the server passes its filter, [`clean`].
//! * [`history`]: messages stored on this machine; [`outbox`] sends those that wait there.
//! * [`console`]: the user interface: a [`screen`], or an [`input`] and an [`output`], which [`gate`] coordinates on one terminal.

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
mod trust;
mod typed;

use std::time::Duration;

use std::pin::Pin;

use kit::Failure;
use tokio_util::sync::CancellationToken;

pub use crate::history::{Format, HistoryOptions, print};
pub use crate::options::{Mode, Options, Theme};

/// Time limit of the shutdown, whatever hangs.
const SHUTDOWN: Duration = Duration::from_secs(3);

/// Chats until the user leaves, standard input ends or `shutdown` is cancelled. Prints to standard output; everything but messages goes to
/// standard error if output is not a terminal.
///
/// # Errors
/// When the name or the server is invalid, or something could not be sent.
pub fn run(
    options: Options,
    shutdown: CancellationToken,
) -> Pin<Box<dyn Future<Output = Result<(), Failure>>>> {
    // Boxed here, so that it is compiled with this crate: see `kit::Running`.
    Box::pin(async move {
        tokio::select! {
            result = login::converse(options, &shutdown) => result,
            () = async { shutdown.cancelled().await; tokio::time::sleep(SHUTDOWN).await } => Ok(()),
        }
    })
}
