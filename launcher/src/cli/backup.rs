//! `launcher backup`: writes everything in the store to one file, while it is in use.

use std::io::ErrorKind;
use std::path::PathBuf;

use kit::{Exit, Failure};
use protocol::api::BackupTotals;

use super::api::Api;
use super::options::{Where, small_runtime};
use super::output::{self, many};
use crate::backup::{BackupError, take};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to write; an existing file is never overwritten
    file: PathBuf,
}

/// Takes it, and prints its size.
pub(super) fn backup(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let api = Api::of_running(place)?;
    let taken = small_runtime()?.block_on(take(&api.client, &args.file));
    let taken = taken.map_err(|error| failure(&api, &error))?;
    let (what, bytes) = (say(&taken.totals), many(taken.bytes, "byte"));
    output::line(&format!("{}: {what}, {bytes}", args.file.display()));
    Ok(Exit::Fine)
}

fn failure(api: &Api, error: &BackupError) -> Failure {
    let exit = match error {
        BackupError::Api(error) => return api.failure(error),
        BackupError::Exists(_) => Exit::Usage,
        BackupError::Write { cause, .. } if cause.kind() == ErrorKind::StorageFull => Exit::Unavailable,
        BackupError::Write { .. } | BackupError::Incomplete(_) => Exit::Failure,
    };
    Failure::new(exit, kit::failure::chain(error))
}

/// Describes the size of a backup.
pub(super) fn say(totals: &BackupTotals) -> String {
    let BackupTotals { users, states, conversations, events } = totals;
    format!(
        "{} in {}, {}, {}",
        many(*events, "message"),
        many(*conversations, "conversation"),
        many(*users, "user"),
        many(*states, "service value")
    )
}
