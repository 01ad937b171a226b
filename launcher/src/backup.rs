//! A backup of everything in the store, fetched from the message API into one file while the store is in use.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;

use futures_util::TryStreamExt;
use message_api::archive::{self, ArchiveError};
use protocol::api::BackupTotals;
use tokio::io::AsyncWriteExt;
use transport::{ApiClient, ApiError};

/// A backup that was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) totals: BackupTotals,
    pub(crate) bytes: u64,
}

/// Why there is no backup. Nothing of it is left on the disk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error("'{}' already exists; choose another file", .0.display())]
    Exists(PathBuf),
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("cannot write '{}': {cause}", file.display())]
    Write { file: PathBuf, cause: io::Error },
    #[error("backup failed")]
    Incomplete(#[source] ArchiveError),
}

/// Writes a temporary file, verifies it by reading it, and then renames it. An existing file is never overwritten. Dropped before its end,
/// it leaves nothing.
pub(crate) async fn take(client: &ApiClient, file: &Path) -> Result<Taken, BackupError> {
    if file.exists() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    let part = Part(kit::durable::part_of(file));
    let bytes = fetch(client, &part.0).await?;
    let (path, target) = (part.0.clone(), file.to_owned());
    let verify = move || {
        let totals = archive::verify(&path).map_err(BackupError::Incomplete)?;
        kit::durable::rename(&path, &target).map_err(|cause| BackupError::Write { file: target, cause })?;
        Ok(Taken { totals, bytes })
    };
    let verified = tokio::task::spawn_blocking(verify).await;
    verified.unwrap_or_else(|error| {
        Err(BackupError::Write { file: file.to_owned(), cause: io::Error::other(error) })
    })
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
async fn fetch(client: &ApiClient, part: &Path) -> Result<u64, BackupError> {
    let cannot = |cause: io::Error| BackupError::Write { file: part.to_owned(), cause };
    let opened = kit::files::open(part, OpenOptions::new().write(true).create(true).truncate(true));
    let mut file = tokio::fs::File::from_std(opened.map_err(cannot)?);
    let mut chunks = pin!(client.backup().await?);
    let mut bytes = 0;
    while let Some(chunk) = chunks.try_next().await? {
        file.write_all(&chunk).await.map_err(cannot)?;
        bytes += chunk.len() as u64;
    }
    file.flush().await.map_err(cannot)?;
    file.sync_all().await.map_err(cannot)?;
    Ok(bytes)
}
