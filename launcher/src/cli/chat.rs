//! `launcher chat`: the terminal client.

use kit::{Exit, Failure};
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
}

/// Chats until the user leaves.
pub(super) fn chat(place: &Where, args: Args) -> Result<Exit, Failure> {
    let settings = place.load(&Without::default())?.settings;
    let options = terminal::Options {
        server: args.server,
        name: args.name,
        default_server: catalog::chat_address(&settings),
    };
    let shutdown = CancellationToken::new();
    small_runtime()?.block_on(async {
        kit::shutdown::on_signals(shutdown.clone())?;
        terminal::run(options, shutdown).await
    })?;
    Ok(Exit::Fine)
}
