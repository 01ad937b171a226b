//! `launcher history`: this machine's message history, read without a server.

use std::path::PathBuf;

use clap::ValueEnum;
use kit::{Exit, Failure};
use terminal::{Format, HistoryOptions};

use super::options::Where;
use super::output;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose history; required if several people chat from here
    #[arg(long)]
    name: Option<String>,
    /// Only the conversation with this user
    #[arg(long, value_name = "NAME")]
    with: Option<String>,
    /// Only messages that contain this text (case-insensitive)
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Export in this format
    #[arg(long, value_name = "FORMAT")]
    export: Option<Export>,
    /// The history directory [default: ~/.local/state/p2p-chat]
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Export {
    /// An array, one message per line
    Json,
    /// With a header line (RFC 4180)
    Csv,
    /// One message per line
    Txt,
}

pub(super) fn history(place: &Where, args: Args) -> Result<Exit, Failure> {
    let directory = place.history(args.history)?.ok_or_else(|| {
        Failure::new(
            Exit::Failure,
            "cannot find the home directory; set the history directory with --history",
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
        output::error("no matching messages");
    }
    Ok(Exit::Fine)
}
