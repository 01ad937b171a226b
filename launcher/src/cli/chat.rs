//! `launcher chat`: the terminal client.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use kit::{Exit, Failure, Secret};
use protocol::account::is_token;
use terminal::{Mode, Theme};
use tokio_util::sync::CancellationToken;

use super::options::{Where, small_runtime};
use super::running;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The chat server's address [default: from the configuration]
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<String>,
    /// Encrypt the connection (TLS); a server that no authority vouches for is remembered, and must show the same certificate next time
    #[arg(long)]
    tls: bool,
    /// Your name [default: ask]
    #[arg(long)]
    name: Option<String>,
    /// A file with a token of your account, if your name is protected
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Line mode, for scripts, screen readers and simple terminals (the default between pipes)
    #[arg(long, conflicts_with = "json")]
    plain: bool,
    /// Read and write one JSON object per line
    #[arg(long)]
    json: bool,
    /// The history directory [default: ~/.local/state/p2p-chat]
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
    /// The colour theme; NO_COLOR disables colours
    #[arg(long, value_enum, default_value_t = Colours::Basic)]
    theme: Colours,
    /// Use the mouse for scrolling and clicking instead of selecting text
    #[arg(long)]
    mouse: bool,
    /// Do not ring the bell for new messages; the window title still counts them
    #[arg(long)]
    no_bell: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Colours {
    /// The terminal's eight colours, for any background
    Basic,
    /// Bright colours, for a dark background
    Dark,
    /// Dark colours, for a light background
    Light,
    /// No colours
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

pub(super) fn chat(place: &Where, args: Args) -> Result<Exit, Failure> {
    let mode = match (args.plain, args.json) {
        (_, true) => Mode::Json,
        (true, false) => Mode::Plain,
        (false, false) => Mode::Auto,
    };
    let history = place.history(args.history)?;
    let default_server = match (args.tls, &args.server) {
        (true, None) => running::tls_chat_server(place)?,
        (true, Some(_)) | (false, _) => running::chat_server(place)?,
    };
    let known_servers = || {
        let file = history.as_ref().map(|directory| directory.join("known-servers"));
        file.ok_or_else(|| {
            Failure::new(Exit::Config, "--tls needs a directory for known servers: set --history DIR")
        })
    };
    let options = terminal::Options {
        server: args.server,
        name: args.name,
        token: args.token_file.as_deref().map(read_token).transpose()?,
        default_server,
        tls: args.tls.then(known_servers).transpose()?,
        mode,
        history,
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
    // Does not wait for a pending name resolution.
    runtime.shutdown_background();
    ended.map(|()| Exit::Fine)
}

/// Longer than any token; a larger file is another one.
const TOKEN_BYTES: u64 = 4096;

/// The token in a file. On the command line everybody on this machine could read it.
fn read_token(file: &Path) -> Result<Secret, Failure> {
    let refuse = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::Config, format!("cannot use the token file '{}': {why}", file.display()))
    };
    let mut text = String::new();
    let opened = File::open(file).and_then(|opened| opened.take(TOKEN_BYTES).read_to_string(&mut text));
    opened.map_err(|error| refuse(&error))?;
    let text = text.trim();
    // What `launcher accounts` prints may be stored as it is: `alice:TOKEN`.
    let token = text.rsplit_once(':').map_or(text, |(_, token)| token);
    if !is_token(token) || token.contains(char::is_whitespace) {
        return Err(refuse(
            &"it has no token of an account; 'launcher accounts token NAME --label LABEL' prints one",
        ));
    }
    Ok(Secret::new(token.to_owned()))
}
