//! The directory of locks and sockets.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where the locks and sockets of the launcher on a data directory are.
#[must_use]
pub fn run_dir(data: &Path) -> PathBuf {
    data.join("run")
}

/// Makes a directory that only we may enter, or makes it so.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}
