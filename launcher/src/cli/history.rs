//! `launcher history`: what was said from this machine, read without a server.

use std::path::PathBuf;

use clap::ValueEnum;
use kit::{Exit, Failure};
use terminal::{Format, HistoryOptions};

use super::options::Where;
use super::output;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose history; needed where several people chat from here
    #[arg(long)]
    name: Option<String>,
    /// Only what was said with this one
    #[arg(long, value_name = "NAME")]
    with: Option<String>,
    /// Only messages that hold this text, in capitals or not
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// For other programs
    #[arg(long, value_name = "FORMAT")]
    export: Option<Export>,
    /// The directory of the history [default: ~/.local/state/p2p-chat]
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Export {
    /// An array, one message a line
    Json,
    /// With a line of headings (RFC 4180)
    Csv,
    /// One line a message
    Txt,
}

/// Prints it.
pub(super) fn history(place: &Where, args: Args) -> Result<Exit, Failure> {
    let directory = place.history(args.history)?.ok_or_else(|| {
        Failure::new(
            Exit::Failure,
            "there is no home directory; name the place of the history with --history",
        )
    })?;
    let format = match args.export {
        Some(Export::Json) => Format::Json,
        Some(Export::Csv) => Format::Csv,
        Some(Export::Txt) | None => Format::Txt,
    };
    let options = HistoryOptions { directory, name: args.name, with: args.with, search: args.search, format };
    let any = terminal::print(&options, std::io::stdout().lock())?;
    if !any && args.export.is_none() {
        output::error("nothing like that is kept");
    }
    Ok(Exit::Fine)
}
