//! `launcher backup`: writes everything in the store to one file, while it is in use.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;

use futures_util::TryStreamExt;
use kit::{Exit, Failure};
use message_api::archive;
use protocol::api::BackupTotals;

use super::api::Api;
use super::options::{Where, small_runtime};
use super::output::{self, many};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to write; an existing file is never overwritten
    file: PathBuf,
}

/// Writes a temporary file, verifies it by reading it, and then renames it.
pub(super) fn backup(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let api = Api::of_running(place)?;
    if args.file.exists() {
        let what = format!("'{}' already exists; choose another file", args.file.display());
        return Err(Failure::new(Exit::Usage, what));
    }
    let part = Part(kit::durable::part_of(&args.file));
    let bytes = small_runtime()?.block_on(fetch(&api, &part.0))?;
    let totals = archive::verify(&part.0).map_err(|error| {
        let error = kit::failure::chain(&error);
        Failure::new(Exit::Failure, format!("backup failed: {error}"))
    })?;
    kit::durable::rename(&part.0, &args.file).map_err(|error| cannot(&args.file, &error))?;
    output::line(&format!("{}: {}, {}", args.file.display(), say(&totals), many(bytes, "byte")));
    Ok(Exit::Fine)
}

/// A temporary file, deleted when dropped.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // After the rename there is nothing to delete.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The file contains private messages, so only its owner can read it.
async fn fetch(api: &Api, part: &Path) -> Result<u64, Failure> {
    let opened = kit::files::open(part, OpenOptions::new().write(true).create(true).truncate(true));
    let mut file = opened.map_err(|error| cannot(part, &error))?;
    let mut chunks = pin!(api.client.backup().await.map_err(|error| api.failure(&error))?);
    let mut bytes = 0;
    while let Some(chunk) = chunks.try_next().await.map_err(|error| api.failure(&error))? {
        file.write_all(&chunk).map_err(|error| cannot(part, &error))?;
        bytes += chunk.len() as u64;
    }
    file.sync_all().map_err(|error| cannot(part, &error))?;
    Ok(bytes)
}

fn cannot(file: &Path, error: &std::io::Error) -> Failure {
    let exit = if error.kind() == ErrorKind::StorageFull { Exit::Unavailable } else { Exit::Failure };
    Failure::new(exit, format!("cannot write '{}': {error}", file.display()))
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
