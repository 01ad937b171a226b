//! `launcher guard`: ends the processes of a launcher that was killed. Started by the launcher alone.

use std::path::PathBuf;

use kit::{Exit, Failure};
use uuid::Uuid;

use super::options::small_runtime;
use crate::supervisor;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The run whose processes are ended.
    run_id: Uuid,
    /// Its control group.
    group: Option<PathBuf>,
}

/// Waits for the end of standard input, and then ends the remaining processes of the run.
pub(super) fn guard(args: &Args) -> Result<Exit, Failure> {
    small_runtime()?.block_on(supervisor::guard(args.run_id, args.group.as_deref()))?;
    Ok(Exit::Fine)
}
