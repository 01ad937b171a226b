//! `launcher chat`: the terminal client.

use std::path::PathBuf;

use kit::{Exit, Failure};
use terminal::Mode;
use tokio_util::sync::CancellationToken;

use super::options::{Where, Without, small_runtime};
use crate::catalog;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The chat server [default: the configuration's]
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<String>,
    /// Your name; asked for when it is missing
    #[arg(long)]
    name: Option<String>,
    /// Line by line, for scripts, screen readers and simple terminals; chosen by itself between pipes
    #[arg(long, conflicts_with = "json")]
    plain: bool,
    /// One JSON object a line in both directions, for programs
    #[arg(long)]
    json: bool,
    /// The directory of the history [default: ~/.local/state/p2p-chat]
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
}

/// Chats until the user leaves.
pub(super) fn chat(place: &Where, args: Args) -> Result<Exit, Failure> {
    let settings = place.load(&Without::default())?.settings;
    let mode = match (args.plain, args.json) {
        (_, true) => Mode::Json,
        (true, false) => Mode::Plain,
        (false, false) => Mode::Auto,
    };
    let options = terminal::Options {
        server: args.server,
        name: args.name,
        default_server: catalog::chat_address(&settings),
        mode,
        history: place.history(args.history)?,
    };
    let shutdown = CancellationToken::new();
    small_runtime()?.block_on(async {
        kit::shutdown::on_signals(shutdown.clone())?;
        terminal::run(options, shutdown).await
    })?;
    Ok(Exit::Fine)
}
