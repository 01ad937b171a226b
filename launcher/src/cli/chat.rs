//! `launcher chat`: the terminal client.

use std::path::PathBuf;

use kit::{Exit, Failure};
use terminal::{Mode, Theme};
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
    /// The colours of the whole screen; none at all where NO_COLOR is set
    #[arg(long, value_enum, default_value_t = Colours::Basic)]
    theme: Colours,
    /// Use the mouse; without this it is the terminal's, which selects text with it
    #[arg(long)]
    mouse: bool,
    /// Ring no bell for what comes while you look elsewhere; the window's title counts it all the same
    #[arg(long)]
    no_bell: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Colours {
    /// The terminal's eight colours, for any background
    Basic,
    /// Bright ones, for a dark background
    Dark,
    /// Dark ones, for a light background
    Light,
    /// None at all
    Mono,
}

impl From<Colours> for Theme {
    fn from(colours: Colours) -> Self {
        match colours {
            Colours::Basic => Self::Basic,
            Colours::Dark => Self::Dark,
            Colours::Light => Self::Light,
            Colours::Mono => Self::Mono,
        }
    }
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
        theme: args.theme.into(),
        mouse: args.mouse,
        bell: !args.no_bell,
    };
    let shutdown = CancellationToken::new();
    let runtime = small_runtime()?;
    let ended = runtime.block_on(async {
        kit::shutdown::on_signals(shutdown.clone())?;
        terminal::run(options, shutdown).await
    });
    // A host name that is being looked up where nobody answers is not waited for.
    runtime.shutdown_background();
    ended.map(|()| Exit::Fine)
}
