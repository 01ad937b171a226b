//! `launcher restore`: replaces the content of the store with that of a backup, while everything runs.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use kit::{Exit, Failure};
use message_api::archive;
use protocol::api::RestoreRequest;

use super::api::Api;
use super::backup::say;
use super::options::{Where, small_runtime};
use super::output;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file written by 'launcher backup'
    file: PathBuf,
    /// Replace all messages without asking
    #[arg(long)]
    yes: bool,
}

/// The message API reads the file, which must be complete; nothing changes before it was read to its end.
pub(super) fn restore(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let api = Api::of_running(place)?;
    let file = args.file.canonicalize().map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot read '{}': {error}", args.file.display()))
    })?;
    if !args.yes && !confirmed(&file)? {
        output::line("aborted; nothing was changed");
        return Ok(Exit::Failure);
    }
    let restored = small_runtime()?.block_on(api.client.call(&RestoreRequest { file }));
    let restored = restored.map_err(|error| api.failure(&error))?;
    output::line(&format!("restored {}", say(&restored.totals)));
    if let Some(kept) = restored.kept {
        output::line(&format!("the previous messages are in {}", kept.display()));
    }
    Ok(Exit::Fine)
}

/// Shows what will be replaced, and asks for confirmation, which requires a terminal.
fn confirmed(file: &std::path::Path) -> Result<bool, Failure> {
    let totals = archive::verify(file).map_err(|error| {
        let error = kit::failure::chain(&error);
        Failure::new(Exit::Failure, format!("cannot restore '{}': {error}", file.display()))
    })?;
    if !std::io::stdin().is_terminal() {
        let what =
            "this replaces all messages of the running store; without a terminal, confirm it with --yes";
        return Err(Failure::new(Exit::Usage, what));
    }
    output::line(&format!("'{}' contains {}.", file.display(), say(&totals)));
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "Replace all messages of the running store with these? [y/N] ")
        .and_then(|()| out.flush());
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
