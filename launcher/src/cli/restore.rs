//! `launcher restore`: makes the store what a backup holds, while everything runs.

use std::path::PathBuf;

use kit::{Exit, Failure};

use super::api::Api;
use super::backup::say;
use super::options::{Where, small_runtime};
use super::output;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file that 'launcher backup' wrote
    file: PathBuf,
}

/// The message API reads the file, which must be whole; until the very end nothing has changed.
pub(super) fn restore(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let api = Api::of_running(place)?;
    let file = args.file.canonicalize().map_err(|error| {
        Failure::new(Exit::Usage, format!("'{}' cannot be read: {error}", args.file.display()))
    })?;
    let restored = small_runtime()?.block_on(api.client.restore(file));
    let totals = restored.map_err(|error| api.failure(&error))?;
    output::line(&format!("restored {}", say(&totals)));
    Ok(Exit::Fine)
}
